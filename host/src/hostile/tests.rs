//! The functions above, with bytes of every kind: arbitrary ones, JSON of every form, and good documents with a part
//! exchanged.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

/// Words by which our messages, manifests and schemas go, and some that nobody should say.
const WORDS: [&str; 76] = [
    "name",
    "version",
    "kind",
    "settings",
    "operations",
    "routes",
    "requires",
    "wants",
    "require_any",
    "all_or_none",
    "probe_interval_ms",
    "multi_instance",
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "anyOf",
    "$ref",
    "pattern",
    "minimum",
    "default",
    "x-env",
    "x-secret",
    "format",
    "const",
    "string",
    "object",
    "array",
    "integer",
    "#",
    "#/properties/a",
    "mode",
    "call",
    "stream",
    "request",
    "method",
    "path",
    "access",
    "guard",
    "code",
    "message",
    "setting",
    "href",
    "retry_after_ms",
    "root_causes",
    "details",
    "error",
    "internal",
    "timeout",
    "level",
    "target",
    "fields",
    "trace",
    "status",
    "headers",
    "body",
    "text",
    "base64",
    "plugin",
    "operation",
    "deadline_ms",
    "A",
    "a",
    "${A}",
    "service",
    "integration",
    "correct-horse",
    "\u{1b}[31m\n",
    "\u{202e}",
    "GET",
    "/{a}/{*b}",
    "host",
    "",
    "(",
    "\u{0}",
];

fn words() -> impl Strategy<Value = String> {
    prop::sample::select(&WORDS[..]).prop_map(str::to_owned)
}

/// JSON of every form.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        words().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let member = (prop_oneof![words(), ".{0,8}".prop_map(String::from)], inner.clone());
        prop_oneof![
            vec(inner, 0..8).prop_map(Value::from),
            vec(member, 0..8).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A good document of each kind.
fn good() -> [Value; 7] {
    let schema = json!({ "type": "object", "properties": {
        "a": { "type": "string", "x-env": "A", "x-secret": true, "default": "b" },
        "port": { "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "null" }], "x-env": "B" },
        "tls": { "$ref": "#/$defs/tls" }, "list": { "type": "array", "items": { "type": "number" } },
    }, "required": ["a"], "$defs": { "tls": { "enum": ["none", "starttls"] } } });
    [
        json!({
            "name": "mail", "version": "1", "kind": "service", "about": "x", "requires": ["a"], "wants": ["b"],
            "settings": schema, "require_any": [["a", "port"]], "all_or_none": [["a", "tls"]],
            "probe_interval_ms": 1000, "multi_instance": true,
            "operations": [{ "name": "send", "mode": "call", "request": { "type": "object" }, "response": {} }],
            "routes": [{ "method": "GET", "path": "/a", "operation": "send", "access": { "guard": "a.b" } }],
        }),
        schema,
        json!({ "code": "timeout", "message": "x", "setting": "a", "href": "/b", "retry_after_ms": 7 }),
        json!({
            "kind": "internal", "message": "x", "retry_after_ms": 7, "details": { "a": [1] },
            "root_causes": [{ "name": "a", "status": "error", "code": "dns", "message": "x" }],
        }),
        json!({ "level": "INFO", "target": "a", "message": "x", "fields": { "b": 1 }, "trace": "7" }),
        json!({ "message": "x", "error": { "kind": "denied", "message": "y" } }),
        json!({ "status": 200, "headers": [["a", "b"]], "body": { "text": "c" } }),
    ]
}

/// Exchanges the value at a place, counted through the document, for another one.
fn exchange(value: &mut Value, place: &mut usize, other: &Value) {
    if *place == 0 {
        *value = other.clone();
    }
    *place = place.wrapping_sub(1);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| exchange(item, place, other)),
        Value::Object(members) => members.values_mut().for_each(|member| exchange(member, place, other)),
        _ => {}
    }
}

/// A good document, with a value exchanged.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    (any::<Index>(), 0..60_usize, any_json()).prop_map(|(which, mut place, other)| {
        let mut document = which.get(&good()).clone();
        exchange(&mut document, &mut place, &other);
        document.to_string().into_bytes()
    })
}

/// Bytes as a plugin could write them.
fn documents() -> impl Strategy<Value = Vec<u8>> {
    let broken = (mutated(), any::<Index>(), any::<u8>()).prop_map(|(mut bytes, at, byte)| {
        let at = at.index(bytes.len().max(1));
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes
    });
    let huge = (1000..5000_usize, any::<Index>(), ".").prop_map(|(times, which, letter)| {
        let long = json!(letter.repeat(times)).to_string();
        which.get(&good()).to_string().replace("\"x\"", &long).into_bytes()
    });
    let of_json = any_json().prop_map(|value| value.to_string().into_bytes());
    prop_oneof![vec(any::<u8>(), 0..200), of_json, mutated(), broken, huge]
}

/// JSON's values in TOML's form, under the keys of our file.
fn toml_like() -> impl Strategy<Value = Vec<u8>> {
    let key = prop::sample::select(vec![
        "listen",
        "data_dir",
        "trusted_proxies",
        "shutdown_grace",
        "log",
        "public_base_url",
        "token_file",
        "library",
        "required",
        "enabled",
        "init",
        "probe",
        "retry",
        "calls",
        "bind",
        "tools",
        "approve",
        "callers",
        "needs",
        "settings",
        "log_level",
    ]);
    let value = prop_oneof![
        Just("\"10s\"".to_owned()),
        Just("{ timeout = \"1s\" }".to_owned()),
        Just("true".to_owned()),
        Just("[\"${A}\", \"a.*\"]".to_owned()),
        Just("{ a = \"${B:-x}\" }".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "\"[^\"\\\\]{0,12}\"",
    ];
    let line = (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"));
    let section =
        prop::sample::select(vec!["[host]\n", "[plugins.a]\n", "[plugins.b]\n", "[plugins.b.settings]\n"]);
    let part = (section, vec(line, 0..4)).prop_map(|(section, lines)| format!("{section}{}", lines.concat()));
    vec(part, 0..4).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn manifests_of_every_kind(bytes in documents()) {
        manifest(&bytes);
    }

    #[test]
    fn settings_of_every_schema(schema in documents(), values in documents()) {
        settings(&[schema, vec![0], values].concat());
    }

    #[test]
    fn everything_that_crosses_the_boundary(bytes in documents()) {
        failure(&bytes);
        operation_error(&bytes);
        call_header(&bytes);
        log_record(&bytes);
        close_reason(&bytes);
        frame(&bytes);
        http_response(&bytes);
    }

    #[test]
    fn files_of_every_kind(bytes in prop_oneof![vec(any::<u8>(), 0..200), toml_like()]) {
        plugins_toml(&bytes);
    }
}

#[test]
fn a_header_that_does_not_fit_is_not_repeated() {
    call_header(b"\"correct-horse\"");
}

#[test]
fn good_documents_pass() {
    for document in good() {
        let json = document.to_string();
        for enter in [
            manifest,
            settings,
            failure,
            operation_error,
            call_header,
            log_record,
            close_reason,
            frame,
            http_response,
        ] {
            enter(json.as_bytes());
        }
    }
    plugins_toml(b"[plugins.database]\nrequired = true\n");
}
