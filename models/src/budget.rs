//! Reserves before every try of a paid call and settles after it: what was told, else an upper estimate, else the worst.

mod chat;
mod meter;
mod toll;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ledger::Ledger;
use crate::price::Price;
use crate::replies::ReplyCache;

pub(crate) use chat::PaidChat;
pub(crate) use meter::Meter;
pub(crate) use toll::{Toll, Used};

/// What a registry needs to hand out models that are paid for.
#[derive(Clone)]
pub struct Accounting {
    /// Where calls are reserved and settled.
    pub ledger: Arc<dyn Ledger>,
    /// By the configured name of the model.
    pub prices: BTreeMap<String, Price>,
    /// What the prices are in, e.g. `USD`.
    pub currency: Arc<str>,
    /// Replies that were kept; `None` where none are.
    pub replies: Option<ReplyCache>,
}
