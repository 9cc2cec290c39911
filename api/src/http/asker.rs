//! Whose conversations, runs and tools these are: the one place where a caller becomes an owner.

use wellspring_answer::{AllowedTools, Asker};
use wellspring_store::Scope;

/// Who asks. Without authentication a tenant's callers are not told apart.
pub(super) fn asker(scope: &Scope) -> Asker {
    Asker { tenant: scope.tenant().clone(), key: None }
}

/// The registered tools that the caller may use.
pub(super) fn allowed(_scope: &Scope) -> AllowedTools {
    AllowedTools::All
}
