//! Passages in, cited and checked answers out.
//!
//! Without a chat model an answer is made of quoted sentences; with one, every generated sentence is checked against the
//! passages it cites before anybody sees it. Either way each citation's quote is byte for byte the stored text, read again
//! right before the answer ends, and an answer that nothing supports is a refusal that says so.

pub mod agent;
pub mod confidence;
pub mod config;
pub mod conversation;
pub mod error;
pub mod pipeline;
pub mod prompt;
pub mod reply;
pub mod structured;
pub mod tool;

mod answer_type;
mod cite;
mod claims;
mod conflict;
mod extractive;
mod generate;
mod ground;
mod judge;
mod markdown;
mod opposites;
mod reading;
mod recheck;
mod remember;
mod run;
mod safe;
mod spans;
mod strength;
mod suspicion;
mod terms;

pub use agent::{
    Agent, AgentConfig, AgentRequest, Approval, KeptRun, Paused, RunStage, RunStore, Step, StepKind, Verdict,
};
pub use confidence::{Confidence, Signals, Weights};
pub use config::{AnswerConfig, InjectionConfig, RefusalConfig, Unsupported};
pub use conflict::{Conflict, Side};
pub use conversation::{Asker, ConversationStore, Exchange, KeptAnswer, KeptTurn, MAX_HISTORY, Recalled};
pub use error::{AnswerError, ErrorKind, Result};
pub use ground::support::{Evidence, Finding, Support, SupportChecker};
pub use judge::{Judge, JudgeConfig};
pub use pipeline::Answerer;
pub use reply::{
    Answer, AnswerEvent, AnswerRequest, CheckedClaim, Citation, Decision, Details, EXTRACTIVE,
    NumberedPassage, PromptVersion, ShortAnswer, Warning,
};
pub use structured::{Field, Structured};
pub use suspicion::{Suspicion, suspicions};
pub use tool::{AllowedTools, Calculator, MAX_BATCH, Tool, ToolInfo, ToolSource, Toolbox};
