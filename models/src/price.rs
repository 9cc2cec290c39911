//! What a model's tokens cost.

use serde::{Deserialize, Serialize};

use crate::chat::Usage;
use crate::money::Money;

/// Tokens that prices are for.
const PER: u128 = 1_000_000;

/// The price of one model, for a million tokens of each kind. A model that costs nothing has a price of 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens read.
    pub input: Money,
    /// Tokens written; 0 for embedders and rerankers.
    #[serde(default)]
    pub output: Money,
    /// Tokens read that the provider had in its prompt cache; unset: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Money>,
    /// Tokens read that the provider put into its prompt cache, where it says so; unset: five quarters of `input`, as
    /// Anthropic, the one that says so, asks for the caching that is used here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Money>,
    /// Each request, whatever its size: some rerankers are paid so.
    #[serde(default)]
    pub request: Money,
}

impl Price {
    /// What a call with this usage costs, rounded up to a millionth.
    pub fn cost(&self, usage: &Usage) -> Money {
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        let written = usage.cache_write_tokens.min(usage.input_tokens - cached);
        let fresh = usage.input_tokens - cached - written;
        self.sum([
            (fresh, self.input),
            (cached, self.cached_input.unwrap_or(self.input)),
            (written, self.cache_write()),
            (usage.output_tokens, self.output),
        ])
    }

    /// The most that a call of so many tokens can cost; `may_write_cache` where the provider charges for that.
    pub fn worst(&self, input_tokens: u64, output_tokens: u64, may_write_cache: bool) -> Money {
        let dearest = self.input.max(self.cached_input.unwrap_or_default());
        let dearest = if may_write_cache { dearest.max(self.cache_write()) } else { dearest };
        self.sum([(input_tokens, dearest), (output_tokens, self.output)])
    }

    fn cache_write(&self) -> Money {
        let quarters = u128::from(self.input.micros()) * 5;
        self.cache_write.unwrap_or(Money::from_micros(bounded(quarters.div_ceil(4))))
    }

    fn sum<const N: usize>(&self, parts: [(u64, Money); N]) -> Money {
        let millionths: u128 =
            parts.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(price.micros())).sum();
        Money::from_micros(bounded(millionths.div_ceil(PER))).plus(self.request)
    }
}

fn bounded(micros: u128) -> u64 {
    u64::try_from(micros).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn every_kind_of_token_has_its_price_and_the_sum_is_rounded_up_once() {
        let price = Price {
            input: money("3"),
            output: money("15"),
            cached_input: Some(money("0.3")),
            ..Price::default()
        };
        let usage = Usage {
            input_tokens: 1_000,
            output_tokens: 100,
            cached_input_tokens: 400,
            cache_write_tokens: 200,
        };
        // 400 × 3 + 400 × 0.3 + 200 × 3.75 + 100 × 15, in millionths.
        assert_eq!(price.cost(&usage), Money::from_micros(1_200 + 120 + 750 + 1_500));
        let tiny = Price { input: money("0.02"), ..Price::default() };
        let one = Usage { input_tokens: 1, ..Usage::default() };
        assert_eq!(tiny.cost(&one), Money::from_micros(1), "never less than it costs");
        let flat = Price { request: money("0.002"), ..Price::default() };
        assert_eq!(flat.cost(&Usage::default()), money("0.002"));
    }

    proptest::proptest! {
        #[test]
        fn the_worst_is_never_below_what_it_bounds(
            tokens in (0..10_000_u64, 0..10_000_u64, 0..10_000_u64, 0..10_000_u64),
            prices in (0..50_000_000_u64, 0..50_000_000_u64, proptest::option::of(0..50_000_000_u64)),
        ) {
            let price = Price {
                input: Money::from_micros(prices.0),
                output: Money::from_micros(prices.1),
                cached_input: prices.2.map(Money::from_micros),
                ..Price::default()
            };
            let usage = Usage {
                input_tokens: tokens.0,
                output_tokens: tokens.1,
                cached_input_tokens: tokens.2,
                cache_write_tokens: tokens.3,
            };
            proptest::prop_assert!(price.cost(&usage) <= price.worst(tokens.0, tokens.1, true));
        }
    }
}
