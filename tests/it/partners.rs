//! The partners do what the tests of the host rely on.

use std::net::TcpStream;

use libtest_mimic::Trial;
use serde_json::json;
use switchboard_tests::{
    partners::{aimock, emulate, openapi, openmetrics, postgres::Postgres, promtool, smtp::SmtpServer},
    trial::Outcome,
    trials,
};

pub fn tests() -> Vec<Trial> {
    trials![
        postgres_comes_back_with_its_data,
        promtool_complains,
        the_reader_of_openmetrics_complains,
        the_validator_of_openapi_complains,
        the_smtp_server_listens,
        the_stand_ins_of_vendors_answer,
    ]
}

fn postgres_comes_back_with_its_data() -> Outcome {
    let mut postgres = Postgres::start()?;
    postgres.query("create table kept as select 42 as answer");
    postgres.stop();
    postgres.resume();
    assert_eq!(postgres.query("select answer from kept"), "42");
    Ok(())
}

fn promtool_complains() -> Outcome {
    assert_ne!(promtool::complaints("# TYPE no_total counter\nno_total{ 1\n")?, "");
    assert_eq!(
        promtool::complaints("# HELP good_total Good.\n# TYPE good_total counter\ngood_total 1\n")?,
        ""
    );
    Ok(())
}

fn the_reader_of_openmetrics_complains() -> Outcome {
    let good = "# TYPE good counter\n# HELP good Good.\ngood_total 1\n";
    assert!(openmetrics::samples(good)?.is_err(), "it has no end");
    assert_eq!(openmetrics::samples(&format!("{good}# EOF\n"))?, Ok(1));
    Ok(())
}

fn the_validator_of_openapi_complains() -> Outcome {
    let mut document = json!({"openapi": "3.1.0", "info": {"title": "good", "version": "1"}, "paths": {}});
    assert_eq!(openapi::complaints(&document)?, "");
    document["paths"]["/bad/{id}"] = json!({"get": {"responses": {"200": {"description": "fine"}}}});
    assert_ne!(openapi::complaints(&document)?, "", "`id` is not declared");
    Ok(())
}

fn the_smtp_server_listens() -> Outcome {
    let server = SmtpServer::start(&[])?;
    TcpStream::connect(("127.0.0.1", server.port())).expect("it said that it listens there");
    Ok(())
}

fn the_stand_ins_of_vendors_answer() -> Outcome {
    let fixtures = json!({"fixtures": [{"match": {"userMessage": "hello"}, "response": {"content": "Hi!"}}]});
    let openai = aimock::start(&fixtures)?;
    assert_eq!(openai.request("GET", aimock::JOURNAL, &[], None).status, 200);
    for (service, path) in
        [("twilio", "/2010-04-01/Accounts/AC1.json"), ("google", "/calendar/v3/users/me/calendarList")]
    {
        let server = emulate::start(service, &json!({}))?;
        assert_eq!(server.request("GET", path, &[], None).status, 401, "{service} knows nobody");
    }
    Ok(())
}
