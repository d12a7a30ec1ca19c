//! The head of both configurations: flags parsed by clap, help and version printed, ignored
//! variables reported.

use std::error::Error;

use clap::Parser;
use clap::error::ErrorKind;
use coffer_provider::settings::ProxyRules;

/// The result of parsing a command line that has no mistake.
pub enum ParsedFlags<F> {
    /// The flags.
    Flags(Box<F>),
    /// The help or version text that was asked for.
    Print(String),
}

/// A command line that clap refuses.
#[derive(Debug, thiserror::Error)]
#[error("{}", without_prefix(.0))]
pub struct CommandLineError(#[source] clap::Error);

/// A flag whose value cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{flag}: {source}")]
pub struct FlagError {
    /// The flag's name, without dashes.
    pub flag: &'static str,
    /// What is wrong with the value.
    pub source: Box<dyn Error + Send + Sync>,
}

impl FlagError {
    /// Returns an error for `flag`, whose value is wrong for this reason.
    pub fn new(flag: &'static str, reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { flag, source: reason.into() }
    }
}

/// Parses a command line, the program's name first.
///
/// # Errors
/// clap's own message for the first mistake.
pub fn parse_flags<F: Parser>(
    args: impl IntoIterator<Item = String>,
) -> Result<ParsedFlags<F>, CommandLineError> {
    match F::try_parse_from(args) {
        Ok(flags) => Ok(ParsedFlags::Flags(Box::new(flags))),
        Err(text) if matches!(text.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(ParsedFlags::Print(text.to_string().trim_end().to_owned()))
        }
        Err(mistake) => Err(CommandLineError(mistake)),
    }
}

/// Returns a warning for each variable that holds a Vault token, since Coffer uses none of them, and
/// for each proxy of the environment that is ignored, since it is no URL.
///
/// `reader` says what logs in instead: `pod` or `read`.
pub fn warn_of_ignored_variables(lookup: &dyn Fn(&str) -> Option<String>, reader: &str) -> Vec<String> {
    let is_set = |name: &&str| lookup(name).is_some_and(|token| !token.is_empty());
    let ignored = |name| format!("{name} is ignored: every {reader} logs in with its own service account");
    let tokens = ["VAULT_TOKEN", "BAO_TOKEN"].into_iter().filter(is_set).map(ignored);
    let proxies = ProxyRules::from_environment(lookup);
    let proxies = proxies.ignored().map(|bad| format!("{bad}: the variable is ignored, as by Go programs"));
    tokens.chain(proxies).collect()
}

fn without_prefix(mistake: &clap::Error) -> String {
    let text = mistake.to_string();
    text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use clap::Parser;

    use super::{FlagError, ParsedFlags, parse_flags, warn_of_ignored_variables};

    #[derive(Parser)]
    #[command(name = "program", version)]
    struct TestFlags {
        #[arg(long, default_value_t = 1)]
        number: u8,
    }

    fn parse(args: &[&str]) -> Result<ParsedFlags<TestFlags>, String> {
        let args = ["program"].iter().chain(args).map(|arg| (*arg).to_owned());
        parse_flags(args).map_err(|error| {
            assert!(error.source().is_some());
            error.to_string()
        })
    }

    #[test]
    fn a_command_line_is_flags_or_a_text_or_a_mistake() {
        assert!(matches!(parse(&["--number=7"]), Ok(ParsedFlags::Flags(flags)) if flags.number == 7));
        let Ok(ParsedFlags::Print(help)) = parse(&["--help"]) else { panic!("no help") };
        assert!(help.contains("--number") && help == help.trim_end(), "{help}");
        assert!(
            matches!(parse(&["--version"]), Ok(ParsedFlags::Print(text)) if text.starts_with("program "))
        );
        let mistake = parse(&["--number=x"]).err().expect("a mistake");
        assert!(mistake.starts_with("invalid value 'x'"), "{mistake}");
    }

    #[test]
    fn a_flag_error_names_flag_and_reason() {
        let error = FlagError::new("listen", "not an address");
        assert_eq!(error.to_string(), "listen: not an address");
    }

    #[test]
    fn each_ignored_variable_is_warned_of_by_name_and_never_by_value() {
        let lookup = |name: &str| match name {
            "VAULT_TOKEN" => Some("hunter2".to_owned()),
            "HTTPS_PROXY" => Some("http://user:100%hunter2@proxy:3128".to_owned()),
            _ => Some(String::new()),
        };
        let warnings = warn_of_ignored_variables(&lookup, "pod");
        assert_eq!(
            warnings,
            [
                "VAULT_TOKEN is ignored: every pod logs in with its own service account",
                "HTTPS_PROXY names no proxy: it has a % without two hexadecimal digits: the variable is ignored, as \
                 by Go programs"
            ]
        );
    }
}
