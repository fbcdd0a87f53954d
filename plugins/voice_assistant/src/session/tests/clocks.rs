//! Audio and its clocks.

use proptest::prelude::*;

use crate::session::clock::Caller;

fn drained(caller: &mut Caller) -> Vec<u8> {
    std::iter::from_fn(|| caller.take()).flatten().collect()
}

#[test]
fn a_moment_of_the_connection_is_one_of_the_call_also_after_it_was_renewed() {
    let mut caller = Caller::default();
    caller.receive(&[1; 8 * 1000]);
    assert_eq!(drained(&mut caller).len(), 8000);
    assert_eq!((caller.at_stream(600), caller.at_stream(9999)), (600, 1000), "never later than what came");
    caller.begin_again(caller.sent_ms());
    caller.receive(&[2; 8 * 500]);
    assert_eq!(drained(&mut caller), [2; 4000]);
    assert_eq!((caller.at_stream(0), caller.at_stream(200)), (1000, 1200));
    caller.begin_again(800);
    assert_eq!(drained(&mut caller), [[1; 1600].as_slice(), &[2; 4000]].concat(), "heard again");
    assert_eq!(caller.at_stream(100), 900);
}

#[test]
fn what_is_too_old_is_lost_and_counted() {
    let mut caller = Caller::default();
    caller.receive(&[1; 8 * 10_000]);
    caller.receive(&[2; 8 * 10_000]);
    assert_eq!(caller.lost_ms(), 5_000);
    let sent = drained(&mut caller);
    assert_eq!(sent.len(), 8 * 15_000);
    assert_eq!((caller.at_stream(0), caller.at_stream(15_000)), (5_000, 20_000));
}

proptest! {
    /// Every byte that is sent is found again at its place, whatever was lost or heard again.
    #[test]
    fn no_byte_loses_its_place(steps in prop::collection::vec((0u8..4, 0u64..40_000), 1..60)) {
        let mut caller = Caller::default();
        let mut sent: Vec<u64> = Vec::new();
        let mut received = 0u64;
        // Each millisecond is eight bytes that tell it.
        for (step, amount) in steps {
            match step {
                0 | 1 => {
                    let ms = amount % 4_000;
                    let audio: Vec<u8> = (received..received + ms).flat_map(|ms| [(ms % 251) as u8; 8]).collect();
                    received += ms;
                    caller.receive(&audio);
                }
                2 => {
                    while let Some(piece) = caller.take() {
                        prop_assert_eq!(piece.len() % 8, 0);
                        sent.extend(piece.chunks(8).map(|ms| u64::from(ms[0])));
                    }
                    for (link_ms, value) in sent.iter().enumerate().rev().take(1_000) {
                        let at = caller.at_stream(link_ms as u64);
                        prop_assert_eq!(at % 251, *value, "moment {} of the connection is {} of the call", link_ms, at);
                    }
                }
                _ => {
                    caller.begin_again(if amount % 2 == 0 { amount } else { caller.sent_ms() });
                    sent.clear();
                }
            }
        }
    }
}
