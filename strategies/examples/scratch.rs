use hublab_strategies::gossip::GossipMessage;
use hublab_strategies::hub::*;
use hublab_strategies::membership::Announcement;
use hublab_strategies::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
fn rss() -> u64 {
    std::fs::read_to_string("/proc/self/statm")
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 4096
}
fn registries(n: usize, nodes: usize, per: usize) {
    let names: Vec<NodeId> = (0..nodes).map(|i| NodeId::from(format!("n{i}"))).collect();
    let snaps: Vec<Snapshot> = (0..nodes)
        .map(|i| {
            let mut v: Vec<LocalChild> = (0..per)
                .map(|k| LocalChild {
                    spec: ChildSpec::new(format!("c-{i}-{k}"), "w"),
                    pid: Some(Pid::from(format!("n{i}.1.{k}"))),
                    metadata: Metadata::default(),
                })
                .collect();
            v.sort_by(|a, b| a.spec.id().cmp(b.spec.id()));
            Snapshot::new(v)
        })
        .collect();
    let before = rss();
    let mut regs: Vec<Registry> = (0..n).map(|_| Registry::new()).collect();
    for round in 0..3 {
        let t = Instant::now();
        let mut changes = 0u64;
        for s in 0..nodes {
            let s = (s * 7919) % nodes;
            for r in &mut regs {
                r.append_data(&[(&names[s], &snaps[s])], &mut |_| changes += 1);
                r.detach_data(&[(&names[s], &snaps[s])], &mut |_| changes += 1);
            }
        }
        let pairs = (n * nodes * per) as f64;
        println!(
            "round {round}: {:.0} ns/pair, changes {changes}, {:.1} B/pair",
            t.elapsed().as_nanos() as f64 / pairs,
            (rss() - before) as f64 / pairs
        );
    }
}
struct R<'a> {
    node: u32,
    names: &'a [NodeId],
    q: &'a mut VecDeque<(u32, u32, Arc<Envelope<GossipMessage, Announcement>>)>,
    rng: &'a mut u64,
    bytes: &'a mut u64,
}
impl Runtime<Envelope<GossipMessage, Announcement>> for R<'_> {
    fn now(&self) -> Time {
        Time(0)
    }
    fn wall_clock(&self) -> u64 {
        1
    }
    fn random(&mut self) -> u64 {
        *self.rng = self.rng.wrapping_add(0x9e3779b97f4a7c15);
        let mut z = *self.rng;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
        z ^ (z >> 31)
    }
    fn send(&mut self, to: &[NodeId], _: Channel, m: Envelope<GossipMessage, Announcement>) {
        *self.bytes += m.size_model().bytes();
        let m = Arc::new(m);
        for t in to {
            let i: u32 = t.as_str()[1..].parse::<u32>().unwrap() - 1;
            self.q.push_back((self.node, i, m.clone()));
        }
    }
    fn announce(&mut self, _: Channel, _: Envelope<GossipMessage, Announcement>) {}
    fn set_timer(&mut self, _: TimerKey, _: Duration) {}
    fn cancel_timer(&mut self, _: TimerKey) {}
    fn start_child(&mut self, _: &ChildSpec, _: &Pid, _: &Metadata) {}
    fn stop_child(&mut self, _: &Pid) {}
    fn emit(&mut self, _: Event) {}
}
fn gossip(n: usize) {
    let names: Vec<NodeId> = (1..=n).map(|i| NodeId::from(format!("n{i}"))).collect();
    let mut hubs: Vec<Hub<Gossip>> = names
        .iter()
        .map(|x| {
            Hub::new(
                x.clone(),
                1,
                Gossip::default(),
                Discovery::default(),
                HubConfig::default(),
            )
        })
        .collect();
    let mut q = VecDeque::new();
    let mut rng = 1;
    let mut bytes = 0;
    for i in 0..n {
        hubs[i].handle(
            Input::Command(Command::SetView(names.clone())),
            &mut R {
                node: i as u32,
                names: &names,
                q: &mut q,
                rng: &mut rng,
                bytes: &mut bytes,
            },
        );
    }
    for round in 0..4 {
        let t = Instant::now();
        let mut count = 0u64;
        let reg = request::Registration {
            spec: ChildSpec::new(format!("a{round}"), "w"),
            entries: [Entry {
                node: names[0].clone(),
                pid: Some(Pid::new("p")),
            }]
            .into_iter()
            .collect(),
            metadata: Metadata::default(),
        };
        hubs[0].handle(
            Input::Command(Command::Propagate {
                requests: [request::Request::Register(vec![reg])].into(),
                members: Members::Global,
            }),
            &mut R {
                node: 0,
                names: &names,
                q: &mut q,
                rng: &mut rng,
                bytes: &mut bytes,
            },
        );
        while let Some((from, to, m)) = q.pop_front() {
            count += 1;
            hubs[to as usize].handle(
                Input::Message {
                    from: &names[from as usize],
                    message: &m,
                },
                &mut R {
                    node: to,
                    names: &names,
                    q: &mut q,
                    rng: &mut rng,
                    bytes: &mut bytes,
                },
            );
        }
        println!(
            "gossip {n}: {count} messages, {:.2} us each, {bytes}",
            t.elapsed().as_nanos() as f64 / count as f64 / 1000.0
        );
    }
}
fn main() {
    let a = std::env::args().nth(1).unwrap_or_default();
    if a == "g" {
        for _ in 0..10 {
            gossip(100);
        }
    } else if a == "r" {
        registries(200, 1000, 10);
    } else {
        gossip(100);
        gossip(20);
        registries(100, 100, 100);
        registries(200, 1000, 10);
    }
}
