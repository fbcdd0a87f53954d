//! The faults of a plan are done: each track in turn, all tracks at once. Every fault ends by itself, so that after the last
//! one the hosts run and only their clocks are wrong.

use std::thread;

use super::{
    history::History,
    plan::{Fault, Partnership, Plan, Step},
    world::World,
};

/// Does all of them.
pub fn run(plan: &Plan, world: &World, history: &History) {
    thread::scope(|scope| {
        for track in &plan.tracks {
            scope.spawn(move || {
                for step in track {
                    thread::sleep(step.after);
                    history.note(format!("{:?} for {:?}", step.what, step.lasts));
                    inflict(step, world, history);
                    history.note(format!("over: {:?}", step.what));
                }
            });
        }
    });
}

fn inflict(step: &Step, world: &World, history: &History) {
    let lasts = step.lasts;
    match &step.what {
        Fault::Kill(host) => world.hosts[*host].kill(history, *host, lasts),
        Fault::Terminate(host) => world.hosts[*host].restart(history, *host, lasts),
        Fault::Pause(host) => world.hosts[*host].pause(history, *host, lasts),
        Fault::Clock(host, seconds) => {
            world.hosts[*host].step_clock(*seconds);
            thread::sleep(lasts);
        }
        Fault::Reload(host, plugin) => {
            let answer = world.hosts[*host].reload(plugin);
            history.note(format!("reload of {plugin}: {answer}"));
        }
        Fault::Way(host, partner, trouble) => {
            world.hosts[*host].trouble(*partner, *trouble);
            thread::sleep(lasts);
            world.hosts[*host].mend(*partner, *trouble);
        }
        Fault::Restart { is_crash } => world.restart_postgres(*is_crash, lasts),
        Fault::FullDisk => {
            if !world.fill_disk(lasts) {
                history.note("no disk can be filled here".to_owned());
            }
        }
        Fault::Twilio(how) => {
            world.carrier.set(*how);
            thread::sleep(lasts);
            world.carrier.set(Partnership::Good);
        }
        Fault::Model(how) => {
            world.model.set(*how);
            thread::sleep(lasts);
            world.model.set(Partnership::Good);
        }
    }
}
