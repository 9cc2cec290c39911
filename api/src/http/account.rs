//! Who pays for a request: the one place where a sender becomes an account.

use uuid::Uuid;
use wellspring_models::Account;

use crate::auth::Sender;

/// An account for one request of the sender.
pub(super) fn account(sender: &Sender) -> Account {
    Account::new(sender.scope().tenant().as_str(), sender.key(), Uuid::now_v7().to_string())
}
