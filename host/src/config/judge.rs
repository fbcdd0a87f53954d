//! The keys of plugins.toml become a [`Config`]: what no schema can say is judged here, with everything that is wrong
//! told at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Map, Value};

use super::{
    Environment, HostConfig, LibraryRef, PluginConfig, Problem, SettingsTable, closest,
    document::Places,
    home::{self, is_home},
    keys::{HostKeys, Keys, PluginKeys},
    pointer,
    secret_key::{SECRET_KEY_VARIABLE, SecretKey},
    token::{self, Token},
};

/// Gives the operator's token; wins over `token_file`.
const TOKEN_VARIABLE: &str = "SWITCHBOARD_TOKEN";

/// What is judged, and what was found wrong with it.
pub(super) struct Judge<'d> {
    pub dir: &'d Path,
    pub environment: &'d Environment,
    pub places: &'d Places,
    pub disabled: &'d [String],
    /// The JSON pointers of what came from a variable.
    pub substituted: &'d BTreeSet<String>,
    /// What is absent because it is nothing but this variable, which is not set.
    pub unset: &'d BTreeMap<String, String>,
    pub problems: Vec<Problem>,
}

impl Judge<'_> {
    /// The host and its plugins, in the order of the file. Where there are problems they are not to be used.
    pub fn judge(&mut self, keys: Keys) -> (HostConfig, Vec<PluginConfig>) {
        let host = self.host(keys.host);
        let names: Vec<_> = keys.plugins.keys().cloned().collect();
        let plugins = keys.plugins.into_iter().map(|(name, keys)| self.plugin(name, keys, &names));
        let mut plugins: Vec<_> = plugins.collect();
        plugins.sort_by_key(|plugin| self.places.of(&section(&plugin.name)));
        (host, plugins)
    }

    fn host(&mut self, keys: HostKeys) -> HostConfig {
        HostConfig {
            listen: self.listen(keys.listen, keys.token_file.is_some()),
            data_dir: self.path("/host/data_dir", keys.data_dir.as_deref().unwrap_or("data")),
            library_dir: keys.library_dir.map(|path| self.path("/host/library_dir", &path)),
            public_base_url: self.public_base_url(keys.public_base_url),
            token: self.token(keys.token_file),
            secret_key: self.secret_key(),
            trusted_proxies: self.each("/host/trusted_proxies", &keys.trusted_proxies, str::parse),
            shutdown_grace: keys.shutdown_grace,
            log: keys.log,
            verbose: false,
        }
    }

    fn listen(&mut self, key: Option<String>, has_token_file: bool) -> SocketAddr {
        let default = SocketAddr::from(([127, 0, 0, 1], 8080));
        let source = self.variable("SWITCHBOARD_LISTEN").or_else(|| Some(self.key("/host/listen", key?)));
        let Some(Source { text, name, line }) = source else { return default };
        let Ok(address) = text.parse::<SocketAddr>() else {
            let problem = Problem::new(format!("{name} must be an address and a port, found `{text}`"));
            self.problems.push(problem.at(line).hint(format!("write it as `{default}`")));
            return default;
        };
        // A token that cannot be used is told of on its own.
        let has_token = has_token_file || self.environment.get(TOKEN_VARIABLE).is_some();
        if !address.ip().to_canonical().is_loopback() && !has_token {
            let reason = "which other machines can reach, and there is no operator's token";
            let hint = format!(
                "set `{TOKEN_VARIABLE}`: {}; or listen on `127.0.0.1:{}`",
                token::HOW_TO_MAKE,
                address.port()
            );
            self.problems.push(Problem::new(format!("{name} is `{address}`, {reason}")).at(line).hint(hint));
        }
        address
    }

    fn token(&mut self, file: Option<String>) -> Option<Token> {
        let (read, name, line) = match self.variable(TOKEN_VARIABLE) {
            Some(source) => (Token::parse(&source.text), source.name, None),
            None => {
                let pointer = "/host/token_file";
                let file = file?;
                if is_home(&file) {
                    self.refuse(pointer, home::REFUSAL, None);
                    return None;
                }
                let path = self.dir.join(file);
                let name = format!("the file `{}`, named by `{}`,", path.display(), pointer::dotted(pointer));
                (Token::read(&path), name, self.places.line(pointer))
            }
        };
        let tell = |(message, hint)| Problem::new(format!("{name} {message}")).at(line).hint(hint);
        read.map_err(|refusal| self.problems.push(tell(refusal))).ok()
    }

    fn secret_key(&mut self) -> Option<SecretKey> {
        let source = self.variable(SECRET_KEY_VARIABLE)?;
        let tell = |(message, hint)| Problem::new(format!("{} {message}", source.name)).hint(hint);
        SecretKey::parse(&source.text).map_err(|refusal| self.problems.push(tell(refusal))).ok()
    }

    fn public_base_url(&mut self, key: Option<String>) -> Option<String> {
        let source = match key {
            Some(text) => self.key("/host/public_base_url", text),
            None => self.variable("PUBLIC_BASE_URL")?,
        };
        let host = source.text.strip_prefix("https://").or_else(|| source.text.strip_prefix("http://"));
        if host
            .is_none_or(|host| host.is_empty() || host.starts_with('/') || host.contains(char::is_whitespace))
        {
            let problem = Problem::new(format!("{} is not the URL of a web site", source.name));
            self.problems.push(problem.at(source.line).hint("write it as `https://switchboard.example.com`"));
        }
        Some(source.text.trim_end_matches('/').to_owned())
    }

    fn variable(&self, name: &str) -> Option<Source> {
        let text = self.environment.get(name)?.to_owned();
        Some(Source { text, name: format!("the variable `{name}`"), line: None })
    }

    fn key(&self, pointer: &str, text: String) -> Source {
        Source { text, name: format!("`{}`", pointer::dotted(pointer)), line: self.places.line(pointer) }
    }

    fn plugin(&mut self, name: String, keys: PluginKeys, names: &[String]) -> PluginConfig {
        let section = section(&name);
        if name == plugin_api::protocol::HOST {
            let problem = Problem::new("`host` is the host's own name, and no plugin's");
            self.problems.push(problem.at(self.places.line(&section)).hint("give the section another name"));
        }
        self.check_times(&section, &keys);
        self.check_binds(&section, &keys, names);
        self.check_callers(&section, &keys, names);
        PluginConfig {
            line: self.places.line(&section).unwrap_or(1),
            library: self.library(&section, keys.library.as_deref().unwrap_or(&name)),
            required: keys.required,
            init: keys.init,
            probe: keys.probe,
            retry: keys.retry,
            calls: keys.calls,
            bind: keys.bind,
            tools: self.each(&format!("{section}/tools"), &keys.tools, tool_pattern),
            approve: self.each(&format!("{section}/approve"), &keys.approve, tool_pattern),
            decides: keys.decides.unwrap_or_else(|| super::decides_by_default(&name)),
            callers: keys.callers,
            needs: keys.needs,
            log_level: keys.log_level,
            settings: self.settings(&format!("{section}/settings"), keys.settings),
            name,
        }
    }

    fn settings(&self, table: &str, values: Map<String, Value>) -> SettingsTable {
        let below = |pointer: &String| {
            Some(pointer.strip_prefix(table)?.to_owned()).filter(|rest| rest.starts_with('/'))
        };
        let substituted = self.substituted.iter().filter_map(below).collect();
        let unset =
            self.unset.iter().filter_map(|(pointer, variable)| Some((below(pointer)?, variable.clone())));
        let unset = unset.collect();
        SettingsTable { values, lines: self.places.lines_under(table), substituted, unset }
    }

    fn library(&mut self, section: &str, text: &str) -> LibraryRef {
        if is_name(text) {
            return LibraryRef::Name(text.to_owned());
        }
        if !text.contains('/') {
            let hint =
                format!("a name has lower-case letters, digits and `_`; a path has a `/`, as in `./{text}`");
            let message = "is neither the name of a plugin nor the path of a library";
            self.refuse(&format!("{section}/library"), message, hint);
        }
        LibraryRef::Path(self.path(&format!("{section}/library"), text))
    }

    fn check_times(&mut self, section: &str, keys: &PluginKeys) {
        let times = [
            ("init/timeout", keys.init.timeout),
            ("probe/interval", keys.probe.interval.unwrap_or(Duration::MAX)),
            ("probe/timeout", keys.probe.timeout),
            ("retry/base", keys.retry.base),
            ("retry/recovery", keys.retry.recovery),
            ("calls/timeout", keys.calls.timeout),
        ];
        for (key, _) in times.into_iter().filter(|(_, time)| time.is_zero()) {
            self.refuse(&format!("{section}/{key}"), "must be more than zero", None);
        }
        if keys.retry.cap < keys.retry.base {
            let hint = format!("`base` is {:?}, `cap` is {:?}", keys.retry.base, keys.retry.cap);
            self.refuse(&format!("{section}/retry"), "has a `cap` shorter than its `base`", hint);
        }
    }

    fn check_binds(&mut self, section: &str, keys: &PluginKeys, names: &[String]) {
        for (role, instance) in keys.bind.iter().filter(|(_, instance)| !names.contains(instance)) {
            let message = format!("names `{instance}`, which plugins.toml does not have");
            let hint = if self.disabled.contains(instance) {
                format!("it is there with `enabled = false`: remove that from `[plugins.{instance}]`")
            } else if let Some(meant) = closest(instance, names.iter().map(String::as_str)) {
                format!("did you mean `{meant}`?")
            } else {
                format!("add a section `[plugins.{instance}]` with `library = \"{role}\"`")
            };
            self.refuse(&pointer::child(&format!("{section}/bind"), role), message, hint);
        }
    }

    /// A name that nothing has would quietly grant nothing.
    fn check_callers(&mut self, section: &str, keys: &PluginKeys, names: &[String]) {
        for caller in keys.callers.iter().flatten() {
            if !names.contains(caller) && !self.disabled.contains(caller) {
                let meant = closest(caller, names.iter().map(String::as_str));
                let hint = meant.map(|meant| format!("did you mean `{meant}`?"));
                let message = format!("names `{caller}`, which plugins.toml does not have");
                self.refuse(&format!("{section}/callers"), message, hint);
            }
        }
    }

    /// The items of a list, each read; those that cannot be are told of.
    fn each<T>(&mut self, list: &str, items: &[String], read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let mut all = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match read(item) {
                Ok(value) => all.push(value),
                Err(hint) => {
                    let line = self.places.line(&pointer::child(list, index));
                    let message = format!("`{}` has `{item}`, which is invalid", pointer::dotted(list));
                    self.problems.push(Problem::new(message).at(line).hint(hint));
                }
            }
        }
        all
    }

    fn refuse(&mut self, pointer: &str, message: impl Display, hint: impl Into<Option<String>>) {
        let problem = Problem::new(format!("`{}` {message}", pointer::dotted(pointer)));
        self.problems.push(Problem { hint: hint.into(), ..problem.at(self.places.line(pointer)) });
    }

    fn path(&mut self, pointer: &str, text: &str) -> PathBuf {
        if is_home(text) {
            self.refuse(pointer, home::REFUSAL, None);
        }
        self.dir.join(text)
    }
}

/// A text, how to call where it is from, and its line in plugins.toml.
struct Source {
    text: String,
    name: String,
    line: Option<usize>,
}

fn section(name: &str) -> String {
    pointer::child("/plugins", name)
}

/// A name of an operation, `plugin.operation`, in which `*` stands for any text.
fn tool_pattern(text: &str) -> Result<String, String> {
    let known =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_.*".contains(letter);
    let fits = text.chars().all(known) && text.contains(['.', '*']);
    if fits { Ok(text.to_owned()) } else { Err("write it as `smtp.send_email` or `smtp.*`".to_owned()) }
}

/// A snake_case identifier.
fn is_name(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_lowercase())
        && text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}
