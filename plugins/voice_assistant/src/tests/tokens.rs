//! The right to carry a call's audio is given once, and used once.

use plugin_api::{error::ErrorKind, testing::TestPlugin, tokio};

use super::setup::{ADA, CALL, Instance, Phone, World, attribute, lines, spoken};
use crate::{
    call::{CallBrief, Entry, Ledger as _, Next},
    journal::Journal,
};
use plugin_api::requests::{memory::Speaker, voice::MediaReport};

async fn realtime() -> (World, Instance, String) {
    let world = World::default();
    world.state().connected.insert("realtime_call_bridge");
    let host = world.host().await;
    let token = attribute(&Phone::ada().ring(&host).await, "value").unwrap();
    (world, host, token)
}

/// The journal of another host.
fn journal(world: &World) -> Journal {
    Journal::new(world.database.serve(TestPlugin::<crate::VoiceAssistant>::new(Default::default())).context())
}

#[tokio::test]
async fn a_webhook_that_is_played_again_gets_no_second_token() {
    let (world, host, _) = realtime().await;
    let other = world.host().await;
    for host in [&host, &other] {
        // Also where nobody remembers the webhook.
        world.state().claimed.clear();
        for _ in 0..2 {
            let twiml = Phone::ada().ring(host).await;
            assert_eq!(attribute(&twiml, "value"), None);
            assert_eq!(spoken(&twiml), ["Hello! How can I help you?"]);
        }
    }
    let minted = world.database.number("select count(*) from voice_assistant_calls where token_hash <> ''");
    assert_eq!(minted, 1);
}
