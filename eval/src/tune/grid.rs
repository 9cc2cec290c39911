//! Candidates out of what a person wants to try: every combination of values of numeric settings.

use std::str::FromStr;

use crate::ablate::{Variant, variant};
use crate::error::{ErrorKind, EvalError, Result};

/// Most combinations: beyond, the best of them is chosen by chance, and every one is evaluated.
const MOST: usize = 500;

/// Values to try of one setting: `retrieve.keyword.k1=0.6,0.9,1.2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Sections and key, with dots.
    key: String,
    /// Numbers as they are written.
    values: Vec<String>,
}

impl FromStr for Param {
    type Err = EvalError;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            EvalError::new(
                ErrorKind::Invalid,
                format!("`{text}` is not KEY=NUMBER,NUMBER,… as in retrieve.depth=200,500,1000"),
            )
        };
        let (key, values) = text.split_once('=').ok_or_else(wrong)?;
        let is_key = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        };
        let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        let is_number = |value: &String| {
            value.parse::<f64>().is_ok_and(f64::is_finite)
                && value.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | 'e'))
        };
        let key = key.trim().to_owned();
        let twice = values.iter().enumerate().any(|(at, value)| values[..at].contains(value));
        if !key.split('.').all(is_key) || !values.iter().all(is_number) || twice {
            return Err(wrong());
        }
        Ok(Self { key, values })
    }
}

/// The configuration as it is, and every combination. `Invalid` for a key named twice and for more than `MOST`.
pub fn grid(params: &[Param]) -> Result<Vec<Variant>> {
    let invalid = |what: String| EvalError::new(ErrorKind::Invalid, what);
    if let Some((_, twice)) =
        params.iter().enumerate().find(|(at, param)| params[..*at].iter().any(|other| other.key == param.key))
    {
        return Err(invalid(format!("`{}` is given twice: name all its values at once", twice.key)));
    }
    let combinations = params.iter().map(|param| param.values.len()).product::<usize>();
    if combinations > MOST {
        return Err(invalid(format!("{combinations} combinations; at most {MOST} are tried")));
    }
    let mut written = vec![(Vec::new(), String::new())];
    for Param { key, values } in params {
        let short = key.rsplit('.').next().unwrap_or(key);
        written = written
            .iter()
            .flat_map(|(name, toml)| {
                values.iter().map(move |value| {
                    let mut name: Vec<String> = name.clone();
                    name.push(format!("{short} {value}"));
                    (name, format!("{toml}{key} = {value}\n"))
                })
            })
            .collect();
    }
    let mut all = vec![variant("default", "")?];
    for (name, toml) in written.into_iter().filter(|(name, _)| !name.is_empty()) {
        all.push(variant(&name.join(", "), &toml)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_a_candidate() {
        let params: Vec<Param> = ["retrieve.keyword.k1=0.9,1.2", "retrieve.depth=200,500,1000"]
            .iter()
            .map(|p| p.parse().unwrap())
            .collect();
        let all = grid(&params).unwrap();
        assert_eq!(all.len(), 7);
        assert!(all[0].switches.settings.is_empty());
        assert_eq!(all[6].name, "k1 1.2, depth 1000");
        let settings = &all[6].switches.settings["retrieve"];
        assert_eq!(settings["keyword"]["k1"].as_float(), Some(1.2));
        assert_eq!(settings["depth"].as_integer(), Some(1000));
        assert_eq!(grid(&[]).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        for wrong in ["a", "a=", "a=x", "a=1,1", "a b=1", "=1", "a..b=1", "a=nan", "a=1,"] {
            assert!(wrong.parse::<Param>().is_err(), "{wrong}");
        }
        let twice: Vec<Param> = ["a.b=1", "a.b=2"].iter().map(|p| p.parse().unwrap()).collect();
        assert!(grid(&twice).unwrap_err().to_string().contains("given twice"));
        let many: Vec<Param> = ["a=1,2,3,4,5,6,7,8", "b=1,2,3,4,5,6,7,8", "c=1,2,3,4,5,6,7,8"]
            .iter()
            .map(|p| p.parse().unwrap())
            .collect();
        assert!(grid(&many).unwrap_err().to_string().contains("512 combinations"));
    }
}
