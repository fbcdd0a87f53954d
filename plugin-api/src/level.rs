//! How certain it is that the person of a call is who they seem to be.

use crate::{error::Failure, message};

/// How certain it is who speaks, the least certain first. It travels with the person of a call; an operation names the
/// least that it [needs](crate::plugin::Operation::needs), and the host compares both.
#[message]
#[derive(Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A number of the account itself: nobody.
    Own,
    /// The number is withheld, or a carrier found it forged: nobody who is known.
    Withheld,
    /// A number is shown, and nobody vouches for it: SMS and RCS, and calls without the highest attestation.
    Shown,
    /// The carrier vouches that the caller may use the number (attestation A of STIR/SHAKEN), we called it, or they have
    /// proven that they have it.
    Attested,
    /// The channel proves who writes, as WhatsApp does; or an operator says on whose behalf they ask.
    Signed,
}

impl Level {
    /// The name in JSON and plugins.toml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Withheld => "withheld",
            Self::Shown => "shown",
            Self::Attested => "attested",
            Self::Signed => "signed",
        }
    }

    /// A setting that names the least level from which somebody counts as known.
    ///
    /// # Errors
    /// A level of people whom nobody knows.
    pub fn known_from(setting: &str, given: Option<Self>, default: Self) -> Result<Self, Failure> {
        match given.unwrap_or(default) {
            level @ (Self::Own | Self::Withheld) => Err(Failure::config_invalid(format!(
                "`{setting}` is `{}`: expected `shown`, `attested` or `signed`, since nobody else is known at all",
                level.as_str()
            ))
            .setting(setting)),
            level => Ok(level),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_and_go_by_their_names() {
        let all = [Level::Own, Level::Withheld, Level::Shown, Level::Attested, Level::Signed];
        assert!(all.is_sorted());
        for level in all {
            assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
        }
    }
}
