//! The document: that it tells what the router serves, all of it, to whom it may be told.

use std::collections::BTreeSet;

use plugin_api::manifest::{Access, RouteManifest, judge::HOST_PATHS};
use serde_json::{Value, json};

use super::*;
use crate::http::{Guard, PluginRoute, RouteTable};

const PATH: &str = "/api/openapi.json";

fn offers() -> String {
    let operation = |name: &str, mode: &str| {
        json!({
            "name": name, "mode": mode, "about": "sends a mail",
            "request": { "type": "object", "properties": { "to": { "type": "string" } } },
            "response": { "$defs": { "Id": { "type": "string" } }, "$ref": "#/$defs/Id" },
        })
    };
    let operations = [operation("send", "call"), operation("watch", "stream")];
    json!([{ "plugin": "mail", "about": "Sends mail.", "operations": operations }]).to_string()
}

fn route(method: &str, path: &str, access: Access) -> PluginRoute {
    let guard = matches!(access, Access::Guard(_))
        .then(|| Guard { plugin: "mail_eu".to_owned(), operation: "admit".to_owned() });
    PluginRoute {
        plugin: "mail".to_owned(),
        line: 3,
        manifest: RouteManifest {
            method: method.to_owned(),
            path: path.to_owned(),
            operation: "send".to_owned(),
            access,
            body_limit: None,
        },
        guard,
        streams: false,
        patience: Duration::from_secs(1),
    }
}

async fn document(host: &Host) -> Value {
    *host.operations.answer.lock().unwrap() = Some(Ok(offers()));
    let answer = host.get(PATH).await;
    assert_eq!((answer.status, answer.header(header::CONTENT_TYPE)), (StatusCode::OK, "application/json"));
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn what_the_router_serves_is_documented_and_nothing_else() {
    let document = document(&Host::connected()).await;
    let documented: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let mut expected: BTreeSet<_> = HOST_PATHS.into_iter().map(str::to_owned).collect();
    expected.insert("/api/operations/mail/send".to_owned());
    assert_eq!(documented, expected);
}

#[tokio::test]
async fn every_method_is_one_that_the_path_takes() {
    let host = Host::connected();
    let document = document(&host).await;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let path = path.replace("{name}", "database").replace(['{', '}'], "");
            let request = Request::builder().method(method.to_uppercase().as_str()).uri(&path);
            let answer = host.send(request.body(Body::empty()).unwrap()).await;
            assert_ne!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn plugins_are_documented_as_their_manifests_tell() {
    let host = Host::connected();
    let routes = [
        route("GET", "/mail/{id}", Access::Public),
        route("WEBSOCKET", "/mail/{id}", Access::Operator),
        route("WEBSOCKET", "/mail/live", Access::Operator),
        route("POST", "/mail/all/{*rest}", Access::Guard("mail.admit".to_owned())),
    ];
    host.routes.replace(RouteTable::new(routes).unwrap());
    let document = document(&host).await;
    let operation = &document["paths"]["/api/operations/mail/send"]["post"];
    assert_eq!(operation["operationId"], "mail.send");
    assert_eq!(operation["summary"], "Sends a mail.");
    assert_eq!(
        operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["to"],
        json!({ "type": "string" })
    );
    let response = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(*response, json!({ "$ref": "#/components/schemas/mail.send.response" }));
    assert_eq!(document["paths"].get("/api/operations/mail/watch"), None, "a stream cannot be posted");

    let page = &document["paths"]["/mail/{id}"]["get"];
    assert_eq!((&page["security"], &page["summary"]), (&json!([]), &json!("Sends a mail.")));
    assert_eq!(page["responses"].get("101"), None, "the page goes before the WebSocket");
    let socket = &document["paths"]["/mail/live"]["get"];
    assert_eq!(socket["security"], json!([{ "token": [] }, { "session": [] }]));
    assert_eq!(socket["responses"]["101"]["description"], "A WebSocket.");
    let guarded = &document["paths"]["/mail/all/{rest}"]["post"];
    assert_eq!(guarded["x-switchboard-guard"], "mail_eu.admit");
    assert_eq!(guarded["parameters"][0]["description"], "The rest of the path, slashes included.");
}

#[tokio::test]
async fn who_is_no_operator_is_told_of_the_host_alone() {
    let settings = AccessSettings {
        is_beyond_loopback: true,
        token: Some("0123456789abcdef".parse().unwrap()),
        ..AccessSettings::default()
    };
    let host = Host::with_access(vec![database()], settings);
    let document = document(&host).await;
    let told: BTreeSet<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(told, HOST_PATHS.into());
    assert!(host.operations.calls.lock().unwrap().is_empty(), "nobody is asked");
    let page = host.get("/api/docs").await.body;
    assert!(page.contains("Only the host's own routes are shown.") && !page.contains("mail"), "{page}");
}

#[tokio::test]
async fn people_get_a_page() {
    let host = Host::connected();
    host.routes.replace(RouteTable::new([route("GET", "/mail/<b>", Access::Public)]).unwrap());
    document(&host).await;
    let answer = host.get("/api/docs").await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
    let line = "<b>POST</b> <code>/api/operations/mail/send</code> Sends a mail.";
    assert!(answer.body.contains(line), "{}", answer.body);
    assert!(answer.body.contains("<b>GET</b> <code>/mail/&lt;b&gt;</code>"), "{}", answer.body);
    assert!(answer.body.contains("<details id=\"mail.send.response\">"), "{}", answer.body);
    assert!(!answer.body.contains("src=") && !answer.body.contains("http:"), "it loads nothing");
    assert_eq!(host.get("/api/docs?page=1").await.status, StatusCode::BAD_REQUEST);
}
