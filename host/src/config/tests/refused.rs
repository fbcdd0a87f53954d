//! TOML that says what it must not.

use std::path::Path;

use expect_test::expect;

use super::{good, refused, refused_with};

#[test]
fn unknown_keys() {
    refused(
        "[plugins.database]\nrequird = true\n",
        expect![[r#"
        plugins.toml:2: unknown key `requird` in `[plugins.database]`
          hint: did you mean `required`?"#]],
    );
    refused(
        "[plugin.database]\n",
        expect![[r#"
            plugins.toml:1: unknown key `plugin` at the top level
              hint: did you mean `plugins`?"#]],
    );
    refused(
        "listen = 'x'\n",
        expect![[r#"
            plugins.toml:1: unknown key `listen` at the top level
              hint: the keys here are `host`, `plugins`"#]],
    );
    refused(
        "[host]\nzzz = 1\n",
        expect![[r#"
            plugins.toml:2: unknown key `zzz` in `[host]`
              hint: the keys here are `data_dir`, `library_dir`, `listen`, `log`, `public_base_url`, `shutdown_grace`, `token_file`, `trusted_proxies`"#]],
    );
    refused(
        "[plugins.a]\nretry = { atempts = 1 }\n",
        expect![[r#"
        plugins.toml:2: unknown key `atempts` in `[plugins.a.retry]`
          hint: did you mean `attempts`?"#]],
    );
}

#[test]
fn wrong_types_and_values() {
    refused(
        "[plugins.a]\nrequired = 'yes'\n",
        expect!["plugins.toml:2: `plugins.a.required` must be `true` or `false`, found `yes`"],
    );
    refused(
        "[plugins.a]\nretry = { attempts = 0 }\n",
        expect!["plugins.toml:2: `plugins.a.retry.attempts` must be at least 1, found `0`"],
    );
    refused(
        "[plugins.a]\nretry = { attempts = 2.5 }\n",
        expect!["plugins.toml:2: `plugins.a.retry.attempts` must be a whole number, found `2.5`"],
    );
    refused(
        "[plugins.a]\nretry = { attempts = 2.0 }\n",
        expect!["plugins.toml:2: `plugins.a.retry.attempts` must be a whole number, found `2.0`"],
    );
    refused(
        "[plugins.a]\nretry = 5\n",
        expect!["plugins.toml:2: `plugins.a.retry` must be a table, found `5`"],
    );
    refused(
        "[plugins.a]\ncalls = { timeout = '10 seconds' }\n",
        expect![
            "plugins.toml:2: `plugins.a.calls.timeout` must be a time such as `500ms`, `10s`, `5m`, found `10 seconds`"
        ],
    );
    refused(
        "[plugins.a]\ncalls = { queue = -1 }\n",
        expect!["plugins.toml:2: `plugins.a.calls.queue` must be at least 0, found `-1`"],
    );
    refused(
        "[plugins.a]\nlog_level = 'verbose'\n",
        expect![
            "plugins.toml:2: `plugins.a.log_level` must be one of `off`, `error`, `warn`, `info`, `debug`, `trace`, found `verbose`"
        ],
    );
    refused(
        "[host]\nlog = { format = 'xml' }\n",
        expect!["plugins.toml:2: `host.log.format` must be one of `text`, `json`, found `xml`"],
    );
    refused(
        "[host]\ntrusted_proxies = '10.0.0.1'\n",
        expect!["plugins.toml:2: `host.trusted_proxies` must be a list, found `10.0.0.1`"],
    );
    refused(
        "[plugins]\ndatabase = 'yes'\n",
        expect!["plugins.toml:2: `plugins.database` must be a table, found `yes`"],
    );
    refused(
        "[plugins.a]\nsettings = 'hush'\n",
        expect!["plugins.toml:2: `plugins.a.settings` must be a table, found text"],
    );
    refused("plugins = 1\n", expect!["plugins.toml:1: `plugins` must be a table, found `1`"]);
    refused(
        "[host]\ndata_dir = 5\n[plugins.a]\ntools = [\n  'a.b',\n  7,\n]\n",
        expect![[r#"
            plugins.toml:2: `host.data_dir` must be text, found `5`
            plugins.toml:6: `plugins.a.tools.1` must be text, found `7`"#]],
    );
}

#[test]
fn what_no_schema_says() {
    refused(
        "[plugins.Data-Base]\n[plugins.1st]\n[plugins.host]\n",
        expect![[r#"
        plugins.toml:1: `plugins.Data-Base` is not a name: use lower-case letters, digits and `_`
        plugins.toml:2: `plugins.1st` is not a name: use lower-case letters, digits and `_`
        plugins.toml:3: `host` is the host's own name, and no plugin's
          hint: give the section another name"#]],
    );
    refused(
        "[plugins.a]\ninit = { timeout = '0s' }\nretry = { base = '1m', cap = '1s' }\n",
        expect![[r#"
        plugins.toml:2: `plugins.a.init.timeout` must be more than zero
        plugins.toml:3: `plugins.a.retry` has a `cap` shorter than its `base`
          hint: `base` is 60s, `cap` is 1s"#]],
    );
    refused(
        "[plugins.a]\nprobe = { interval = '0ms' }\n",
        expect!["plugins.toml:2: `plugins.a.probe.interval` must be more than zero"],
    );
    refused(
        "[plugins.a]\nlibrary = 'libfoo.so'\n",
        expect![[r#"
        plugins.toml:2: `plugins.a.library` is neither the name of a plugin nor the path of a library
          hint: a name has lower-case letters, digits and `_`; a path has a `/`, as in `./libfoo.so`"#]],
    );
    refused(
        "[plugins.a]\ntools = ['everything']\n",
        expect![[r#"
        plugins.toml:2: `plugins.a.tools` has `everything`, which is invalid
          hint: write it as `smtp.send_email` or `smtp.*`"#]],
    );
    refused(
        "[host]\ntrusted_proxies = ['10.0.0.1', 'proxy']\n",
        expect![[r#"
        plugins.toml:2: `host.trusted_proxies` has `proxy`, which is invalid
          hint: write an address as `10.0.0.1`, a network as `10.0.0.0/8`"#]],
    );
    refused(
        "[host]\npublic_base_url = 'switchboard.example.com'\n",
        expect![[r#"
        plugins.toml:2: `host.public_base_url` is not the URL of a web site
          hint: write it as `https://switchboard.example.com`"#]],
    );
}

#[test]
fn binds_to_what_is_not_there() {
    refused(
        "[plugins.openai_eu]\n[plugins.a]\nbind = { openai = 'openai_us' }\n",
        expect![[r#"
        plugins.toml:3: `plugins.a.bind.openai` names `openai_us`, which plugins.toml does not have
          hint: did you mean `openai_eu`?"#]],
    );
    refused(
        "[plugins.b]\nenabled = false\n[plugins.a]\nbind = { b = 'b' }\n",
        expect![[r#"
        plugins.toml:4: `plugins.a.bind.b` names `b`, which plugins.toml does not have
          hint: it is there with `enabled = false`: remove that from `[plugins.b]`"#]],
    );
    refused(
        "[plugins.a]\nbind = { openai = 'elsewhere' }\n",
        expect![[r#"
        plugins.toml:2: `plugins.a.bind.openai` names `elsewhere`, which plugins.toml does not have
          hint: add a section `[plugins.elsewhere]` with `library = "openai"`"#]],
    );
}

#[test]
fn addresses() {
    refused(
        "[host]\nlisten = '0.0.0.0:8080'\n",
        expect![[r#"
            plugins.toml:2: `host.listen` is `0.0.0.0:8080`, which other machines can reach, and there is no operator's token
              hint: set `SWITCHBOARD_TOKEN`: `openssl rand -hex 32` prints a good one; or listen on `127.0.0.1:8080`"#]],
    );
    refused(
        "[host]\nlisten = 'localhost'\n",
        expect![[r#"
        plugins.toml:2: `host.listen` must be an address and a port, found `localhost`
          hint: write it as `127.0.0.1:8080`"#]],
    );
    refused_with(
        "[host]\n",
        &[("SWITCHBOARD_LISTEN", "192.0.2.1:80")],
        expect![[r#"
            plugins.toml: the variable `SWITCHBOARD_LISTEN` is `192.0.2.1:80`, which other machines can reach, and there is no operator's token
              hint: set `SWITCHBOARD_TOKEN`: `openssl rand -hex 32` prints a good one; or listen on `127.0.0.1:80`"#]],
    );
    refused_with(
        "[host]\n",
        &[("SWITCHBOARD_LISTEN", "80")],
        expect![[r#"
        plugins.toml: the variable `SWITCHBOARD_LISTEN` must be an address and a port, found `80`
          hint: write it as `127.0.0.1:8080`"#]],
    );
    refused_with(
        "[host]\n",
        &[("PUBLIC_BASE_URL", "here")],
        expect![[r#"
        plugins.toml: the variable `PUBLIC_BASE_URL` is not the URL of a web site
          hint: write it as `https://switchboard.example.com`"#]],
    );
    good("[host]\nlisten = '127.1.2.3:1'\n", &[]);
}

#[test]
fn tokens() {
    refused(
        "[host]\nlisten = '0.0.0.0:1'\ntoken_file = 'no/such/token'\n",
        expect![[r#"
            plugins.toml:3: the file `no/such/token`, named by `host.token_file`, cannot be read: entity not found
              hint: write a token there: `openssl rand -hex 32` prints a good one"#]],
    );
    refused_with(
        "[host]\nlisten = '0.0.0.0:1'\n",
        &[("SWITCHBOARD_TOKEN", "hunter2")],
        expect![[r#"
            plugins.toml: the variable `SWITCHBOARD_TOKEN` has 7 characters, fewer than 16
              hint: `openssl rand -hex 32` prints a good one"#]],
    );
}

#[test]
fn unset_variables_inside_longer_text() {
    refused(
        "[plugins.a.settings]\nurl = 'https://${HOST}/x'\nother = '${EMPTY}${NAME}'\n",
        expect![[r#"
        plugins.toml:2: `plugins.a.settings.url` needs the variable `HOST`, which is not set
          hint: set `HOST`, or give it a default: `${HOST:-default}`
        plugins.toml:3: `plugins.a.settings.other` needs the variable `EMPTY`, which is not set
          hint: set `EMPTY`, or give it a default: `${EMPTY:-default}`"#]],
    );
    refused(
        "[plugins.a]\ntools = ['a.b', 'x.${UNSET}']\n",
        expect![[r#"
        plugins.toml:2: `plugins.a.tools.1` needs the variable `UNSET`, which is not set
          hint: set `UNSET`, or give it a default: `${UNSET:-default}`"#]],
    );
    refused(
        "[plugins.a.settings]\nurl = '${NOT CLOSED'\nb = '${}'\nc = '${A:-${B}}'\n",
        expect![[r#"
        plugins.toml:2: `plugins.a.settings.url` has a `${` that is not `${NAME}` or `${NAME:-default}`
          hint: for a literal `${` write `$${`
        plugins.toml:3: `plugins.a.settings.b` has a `${` that is not `${NAME}` or `${NAME:-default}`
          hint: for a literal `${` write `$${`
        plugins.toml:4: `plugins.a.settings.c` has a `${` that is not `${NAME}` or `${NAME:-default}`
          hint: for a literal `${` write `$${`"#]],
    );
    refused(
        "[plugins.a]\nretry = { attempts = '${NAME}' }\n",
        expect!["plugins.toml:2: `plugins.a.retry.attempts` must be a whole number, found text"],
    );
}

#[test]
fn everything_at_once_in_the_order_of_lines() {
    refused(
        r#"[host]
listen = "0.0.0.0:80"
lisen = "x"
log = { level = "loud" }

[plugins.database]
requird = true
init = { timeout = "soon" }
[plugins.database.settings]
url = "postgres://${USER_NAME}@db/app"

[plugins.smtp]
retry = { base = "1h" }
bind = { database = "databse" }
"#,
        expect![[r#"
            plugins.toml:2: `host.listen` is `0.0.0.0:80`, which other machines can reach, and there is no operator's token
              hint: set `SWITCHBOARD_TOKEN`: `openssl rand -hex 32` prints a good one; or listen on `127.0.0.1:80`
            plugins.toml:3: unknown key `lisen` in `[host]`
              hint: did you mean `listen`?
            plugins.toml:4: `host.log.level` must be one of `off`, `error`, `warn`, `info`, `debug`, `trace`, found `loud`
            plugins.toml:7: unknown key `requird` in `[plugins.database]`
              hint: did you mean `required`?
            plugins.toml:8: `plugins.database.init.timeout` must be a time such as `500ms`, `10s`, `5m`, found `soon`
            plugins.toml:10: `plugins.database.settings.url` needs the variable `USER_NAME`, which is not set
              hint: set `USER_NAME`, or give it a default: `${USER_NAME:-default}`
            plugins.toml:13: `plugins.smtp.retry` has a `cap` shorter than its `base`
              hint: `base` is 3600s, `cap` is 30s
            plugins.toml:14: `plugins.smtp.bind.database` names `databse`, which plugins.toml does not have
              hint: did you mean `database`?"#]],
    );
}

#[test]
fn a_home_is_no_path() {
    refused(
        r#"
[host]
data_dir = "~/data"
library_dir = "~ada/lib"
token_file = "~/token"
[plugins.a]
library = "~/liba.so"
"#,
        expect![[r#"
            plugins.toml:3: `host.data_dir` begins with `~`, which only a shell replaces: write the whole path, or `${HOME}/…`
            plugins.toml:4: `host.library_dir` begins with `~`, which only a shell replaces: write the whole path, or `${HOME}/…`
            plugins.toml:5: `host.token_file` begins with `~`, which only a shell replaces: write the whole path, or `${HOME}/…`
            plugins.toml:7: `plugins.a.library` begins with `~`, which only a shell replaces: write the whole path, or `${HOME}/…`"#]],
    );
    assert_eq!(
        good("[host]\ndata_dir = \"./~\"\n[plugins.a]\n", &[]).host.data_dir,
        Path::new("/nowhere/./~")
    );
}
