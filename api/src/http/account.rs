//! Who pays for a request: the one place where a caller becomes an account.

use uuid::Uuid;
use wellspring_models::Account;

use super::caller::Caller;

/// An account for one request of the caller.
pub(super) fn account(caller: &Caller) -> Account {
    Account::new(caller.0.tenant().as_str(), key(caller), Uuid::now_v7().to_string())
}

/// The API key or user that asks; `None` where there is no authentication.
pub(super) fn key(_caller: &Caller) -> Option<String> {
    None
}
