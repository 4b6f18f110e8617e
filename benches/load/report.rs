//! The report: each goal beside its result, as a table or as JSON.

use serde::Serialize;

use crate::Args;
use crate::durable::{Durable, Pair};
use crate::floor::Costs;
use crate::memory::{Growth, Memory, Start};
use crate::revocation::Revocations;
use crate::rounds::{Measured, Round};

const MIB: f64 = 1024.0 * 1024.0;

/// Everything that was measured, and how.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    clients: usize,
    seconds: f64,
    start: &'a Start,
    /// Medians; microseconds, operations per second, ratios.
    paths: Vec<Line>,
    /// What the medians are of.
    measured: Vec<Measured>,
    #[serde(flatten)]
    besides: Besides,
}

/// What is measured beside the paths, as far as it was asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Besides {
    pub(crate) durable: Option<Vec<Durable>>,
    pub(crate) revocations: Option<Revocations>,
    pub(crate) memory: Option<Memory>,
}

/// One path, each figure the median of the rounds.
#[derive(Debug, Serialize)]
struct Line {
    title: &'static str,
    goal: Option<f64>,
    cpu: f64,
    floor: f64,
    ratio: f64,
    program: f64,
    program_ratio: f64,
    rate: f64,
    saturated_p50: f64,
    saturated_p99: f64,
    paced_p50: f64,
    paced_p99: f64,
}

impl<'a> Report<'a> {
    pub(crate) fn of(
        args: &Args,
        start: &'a Start,
        measured: Vec<Measured>,
        besides: Besides,
    ) -> Self {
        Self {
            clients: args.clients,
            seconds: args.seconds,
            start,
            paths: measured.iter().map(Line::of).collect(),
            measured,
            besides,
        }
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        self.print_signatures();
        self.print_paths();
        self.besides.durable.iter().flatten().for_each(print_durable);
        if let Some(revocations) = &self.besides.revocations {
            print_revocations(revocations);
        }
        println!();
        println!("{:<58} {:>10}   goal", "start and memory", "result");
        goal_line("start to ready, ms", self.start.ready_ms, "≤ 100");
        goal_line("resident when ready, MiB", self.start.resident as f64 / MIB, "≤ 20");
        if let Some(memory) = &self.besides.memory {
            print_growth("nonces asked for and not used", &memory.nonces, "0");
            print_growth("challenges asked for and not used", &memory.challenges, "0");
            let title = "sign-ins (a spent nonce and a used proof each)";
            print_growth(title, &memory.sign_ins, "≤ 64 each of the two");
        }
    }

    fn print_signatures(&self) {
        let rounds = || self.measured.iter().flat_map(|measured| &measured.rounds);
        let of = |pick: fn(&Costs) -> f64| {
            median(rounds().map(|round| pick(&round.signatures)).collect())
        };
        println!(
            "bare operations, µs: secp256k1 recover {:.1}, P-256 verify {:.1}, Ed25519 verify {:.1}, Ed25519 sign {:.1}",
            of(|c| c.secp256k1_recover),
            of(|c| c.p256_verify),
            of(|c| c.ed25519_verify),
            of(|c| c.ed25519_sign),
        );
        let bare = median(rounds().map(|round| round.bare_request).collect());
        println!("bare request, µs of server CPU: {bare:.1}\n");
    }

    fn print_paths(&self) {
        println!(
            "{} clients, medians of {} rounds; CPU in µs of the server per operation",
            self.clients,
            self.measured.first().map_or(0, |m| m.rounds.len())
        );
        println!(
            "{:<40} {:>7} {:>7} {:>6} {:>6} {:>8} {:>6} {:>8} {:>15} {:>15}",
            "path",
            "CPU",
            "floor",
            "ratio",
            "goal",
            "program",
            "ratio",
            "per s",
            "p50/p99 full",
            "p50/p99 half"
        );
        for line in &self.paths {
            let goal = line.goal.map_or_else(|| "–".to_owned(), |goal| format!("{goal:.2}"));
            let full = format!("{:.0}/{:.0}", line.saturated_p50, line.saturated_p99);
            let half = format!("{:.0}/{:.0}", line.paced_p50, line.paced_p99);
            println!(
                "{:<40} {:>7.1} {:>7.1} {:>6.2} {:>6} {:>8.1} {:>6.2} {:>8.0} {full:>15} {half:>15}",
                line.title,
                line.cpu,
                line.floor,
                line.ratio,
                goal,
                line.program,
                line.program_ratio,
                line.rate
            );
        }
    }
}

impl Line {
    fn of(measured: &Measured) -> Self {
        let path = measured.path;
        let of = |pick: &dyn Fn(&Round) -> f64| median(measured.rounds.iter().map(pick).collect());
        Self {
            title: path.title(),
            goal: path.goal(),
            cpu: of(&|round| round.saturated.cpu),
            floor: of(&|round| round.floor(path)),
            ratio: of(&|round| round.saturated.cpu / round.floor(path)),
            program: of(&|round| round.program.cpu),
            program_ratio: of(&|round| round.saturated.cpu / round.program.cpu),
            rate: of(&|round| round.saturated.rate),
            saturated_p50: of(&|round| round.saturated.p50),
            saturated_p99: of(&|round| round.saturated.p99),
            paced_p50: of(&|round| round.paced.p50),
            paced_p99: of(&|round| round.paced.p99),
        }
    }
}

fn print_durable(durable: &Durable) {
    let of = |pick: fn(&Pair) -> f64| median(durable.rounds.iter().map(pick).collect());
    println!(
        "\n{}, {} clients: {:.0} per s in memory, {:.0} on the embedded store, ratio {:.2}   goal ≥ 0.80",
        durable.title,
        durable.clients,
        of(|pair| pair.memory.rate),
        of(|pair| pair.embedded.rate),
        of(|pair| pair.embedded.rate / pair.memory.rate),
    );
    println!(
        "  p50/p99 {:.0}/{:.0} µs in memory, {:.0}/{:.0} µs embedded",
        of(|pair| pair.memory.p50),
        of(|pair| pair.memory.p99),
        of(|pair| pair.embedded.p50),
        of(|pair| pair.embedded.p99),
    );
}

fn print_revocations(revocations: &Revocations) {
    let Revocations { times, p50, p99, worst } = revocations;
    println!(
        "\nfrom the 200 of /revoke to the refusal at a resource server, {times} times, ms: \
         p50 {p50:.1}, p99 {p99:.1}, worst {worst:.1}"
    );
}

fn print_growth(title: &str, growth: &Growth, goal: &str) {
    let title = format!(
        "{} {title}, bytes each ({:.1} → {:.1} MiB)",
        growth.operations,
        growth.before as f64 / MIB,
        growth.after as f64 / MIB
    );
    goal_line(&title, growth.each(), goal);
}

fn goal_line(title: &str, result: f64, goal: &str) {
    println!("{title:<58} {result:>10.1}   {goal}");
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
