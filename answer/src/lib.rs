//! Passages in, cited and checked answers out.
//!
//! Without a chat model an answer is made of quoted sentences; with one, every generated sentence is checked against the
//! passages it cites before anybody sees it. Either way each citation's quote is byte for byte the stored text, read again
//! right before the answer ends, and an answer that nothing supports is a refusal that says so.

pub mod config;
pub mod error;
pub mod pipeline;
pub mod prompt;
pub mod reply;

mod answer_type;
mod cite;
mod claims;
mod extractive;
mod generate;
mod ground;
mod markdown;
mod recheck;
mod remember;
mod run;
mod safe;
mod strength;
mod suspicion;
mod terms;

pub use config::{AnswerConfig, InjectionConfig, RefusalConfig, Unsupported};
pub use error::{AnswerError, ErrorKind, Result};
pub use ground::support::{Evidence, Finding, Support, SupportChecker};
pub use pipeline::Answerer;
pub use reply::{
    Answer, AnswerEvent, AnswerRequest, CheckedClaim, Citation, Decision, EXTRACTIVE, NumberedPassage,
    PromptVersion, ShortAnswer, Warning,
};
pub use suspicion::{Suspicion, suspicions};
