//! Whose conversations, runs and tools these are: the one place where a sender becomes an owner.

use wellspring_answer::{AllowedTools, Asker};

use crate::auth::Sender;

/// Who asks. Without authentication a tenant's callers are not told apart.
pub(super) fn asker(sender: &Sender) -> Asker {
    Asker { tenant: sender.scope().tenant().clone(), key: sender.key() }
}

/// The registered tools that the sender may use.
pub(super) fn allowed(sender: &Sender) -> AllowedTools {
    match sender.tools() {
        None => AllowedTools::All,
        Some(names) => AllowedTools::Only(names.clone()),
    }
}
