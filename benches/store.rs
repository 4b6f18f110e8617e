//! What sessions cost in each store: verbs a second, bytes on disk and in memory, time to open again.
//!
//! `cargo bench --bench store`. Tasks call the verbs without a server around them, each the next as
//! soon as it has its answer. It asserts no time: docs/STORAGE.md says what was found.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program that measures time and prints what it found"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use countersign::model::session::{Session, SessionId, Usage};
use countersign::store::embedded::{EmbeddedStore, FILE, Folder};
use countersign::store::memory::MemoryStore;
use countersign::store::{Bounds, ProvenKey, SessionBounds, SessionError, Store};
use countersign_sdk::entropy::{Entropy as _, OsEntropy};
use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const START: u64 = 1_800_000_000;
const BOUNDS: Bounds = Bounds {
    nonces: 1000,
    proofs: 1000,
    answers: 1000,
    sessions: SessionBounds { total: 100_000_000, per_subject: 100, revocations: 1_000_000 },
};

/// Measures the stores.
#[derive(Debug, Parser)]
struct Args {
    /// Sessions that the store holds when it is measured full.
    #[arg(long, default_value_t = 1_000_000)]
    sessions: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// The folder to work in, on the disk to be measured; it must not exist.
    #[arg(long, default_value = "target/bench-store")]
    folder: PathBuf,
    /// What `cargo bench` passes.
    #[arg(long, hide = true)]
    bench: bool,
}

fn session(number: usize) -> Result<Session, Failure> {
    // As when a thousand sign in each second.
    let now = Timestamp::from_unix(START + (number / 1000) as u64);
    let mut random = [[0; 32]; 3];
    for bytes in &mut random {
        OsEntropy.fill(bytes)?;
    }
    let [address, key, wallet] = random;
    let account = format!("eip155:1:0x{}", hex::encode(&address[..20]));
    Ok(Session {
        id: SessionId::generate(now, &OsEntropy)?,
        subject: format!("did:pkh:{account}"),
        account,
        client_id: "app.example".to_owned(),
        method: "siwe".to_owned(),
        proven: Some(Thumbprint::from_bytes(wallet)),
        proven_did: Some("did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme".to_owned()),
        contract: None,
        bound_to: Some(Thumbprint::from_bytes(key)),
        resource: "https://escrow.example".to_owned(),
        scope: "escrow:read escrow:release".to_owned(),
        label: Some("Firefox on Linux".to_owned()),
        created_at: now,
        ends_at: now.plus(2_592_000),
        usage: Usage::begun(0, now),
    })
}

/// How often `verb` is done in `time` by so many at once; the slowest hundredth in microseconds.
async fn rate<F: Future<Output = Result<(), Failure>> + Send>(
    at_once: usize,
    time: Duration,
    verb: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Result<(f64, u128), Failure> {
    let (began, done) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..at_once)
        .map(|task| {
            let (verb, done) = (verb.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut took = Vec::new();
                while began.elapsed() < time {
                    let one = Instant::now();
                    verb(task).await?;
                    took.push(one.elapsed().as_micros());
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, Failure>(took)
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await??);
    }
    took.sort_unstable();
    let slowest = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
    Ok((done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64(), slowest))
}

async fn verbs(
    name: &str,
    store: &Arc<dyn Store>,
    known: &Arc<Vec<Session>>,
    seconds: u64,
) -> Result<(), Failure> {
    let time = Duration::from_secs(seconds);
    for at_once in [1, 64, 256] {
        let opening = Arc::clone(store);
        let open = move |_| {
            let store = Arc::clone(&opening);
            async move {
                let session = session(5_000_000)?;
                let now = session.created_at;
                let _ = store.open(session, now, now).await?;
                Ok(())
            }
        };
        let (opens, slow_open) = rate(at_once, time, open).await?;
        let (rotating, among) = (Arc::clone(store), Arc::clone(known));
        let rotate = move |_| {
            let (store, known) = (Arc::clone(&rotating), Arc::clone(&among));
            async move {
                let session = pick(&known)?;
                let now = session.created_at.plus(60);
                let Ok(kept) = store.session(session.id, now).await else { return Ok(()) };
                let generation = kept.usage.generation;
                let holder = session.bound_to.map(|jkt| ProvenKey { jkt, at: now });
                match store.rotate(kept, generation, holder, now).await {
                    // Whoever has picked the same may have been quicker, by one or by two.
                    Ok(_) | Err(SessionError::Reused | SessionError::Ended) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
        };
        let (rotations, slow_rotation) = rate(at_once, time, rotate).await?;
        let (reading, among) = (Arc::clone(store), Arc::clone(known));
        let read = move |_| {
            let (store, known) = (Arc::clone(&reading), Arc::clone(&among));
            async move {
                let session = pick(&known)?;
                match store.session(session.id, session.created_at).await {
                    Ok(_) | Err(SessionError::Ended) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
        };
        let (reads, slow_read) = rate(at_once, time, read).await?;
        println!(
            "{name:<18} {at_once:>4} at once: open {opens:>9.0}/s (p99 {slow_open} us), \
             read and rotate {rotations:>9.0}/s (p99 {slow_rotation} us), \
             read {reads:>9.0}/s (p99 {slow_read} us)"
        );
    }
    Ok(())
}

fn pick(known: &[Session]) -> Result<&Session, Failure> {
    let mut random = [0; 8];
    OsEntropy.fill(&mut random)?;
    let at = u64::from_le_bytes(random) as usize % known.len().max(1);
    known.get(at).ok_or_else(|| "no session is known".into())
}

/// Opens so many sessions; gives a part of them.
async fn fill(store: &Arc<dyn Store>, count: usize) -> Result<Vec<Session>, Failure> {
    let (next, mut tasks) = (Arc::new(AtomicUsize::new(0)), Vec::new());
    for _ in 0..256 {
        let (store, next) = (Arc::clone(store), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let mut some = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<_, Failure>(some);
                }
                let session = session(number)?;
                let _ = store.open(session.clone(), session.created_at, session.created_at).await?;
                if number % 50 == 0 {
                    some.push(session);
                }
            }
        }));
    }
    let mut some = Vec::new();
    for task in tasks {
        some.extend(task.await??);
    }
    Ok(some)
}

/// Resident memory of this process in bytes.
fn resident() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line.and_then(|line| line.trim().strip_suffix(" kB")).unwrap_or("0").parse()?;
    Ok(kib * 1024)
}

fn open(folder: &Path) -> Result<(EmbeddedStore, Duration), Failure> {
    let began = Instant::now();
    let store = EmbeddedStore::open(Folder::take(folder)?, BOUNDS, &OsEntropy)?;
    Ok((store, began.elapsed()))
}

/// The file as a crash leaves it: copied while a process has it open.
fn crashed(folder: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o700))?;
    fs::copy(folder.join(FILE), to.join(FILE))?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    if args.folder.exists() {
        return Err(format!("{} exists", args.folder.display()).into());
    }
    let measured = measure(&args).await;
    fs::remove_dir_all(&args.folder)?;
    measured
}

async fn measure(args: &Args) -> Result<(), Failure> {
    let folder = args.folder.join("store");
    let (embedded, _) = open(&folder)?;
    let before = resident()?;
    let embedded = Arc::new(embedded);
    let store: Arc<dyn Store> = Arc::<EmbeddedStore>::clone(&embedded);
    let some = Arc::new(fill(&store, 10_000).await?);
    verbs("embedded, new", &store, &some, args.seconds).await?;

    let there = embedded.check(Timestamp::from_unix(START))?.sessions as usize;
    let (began, commits) = (Instant::now(), embedded.commits());
    let missing = args.sessions.saturating_sub(there);
    let known = Arc::new(fill(&store, missing).await?);
    let took = began.elapsed().as_secs_f64();
    let per_commit = missing as f64 / (embedded.commits() - commits).max(1) as f64;
    println!("{missing} more opened in {took:.1} s, {per_commit:.0} in a flush");
    verbs("embedded, full", &store, &known, args.seconds).await?;

    let began = Instant::now();
    let report = embedded.check(Timestamp::from_unix(START))?;
    let sessions = report.sessions;
    println!("checked {sessions} sessions in {:?}, {} faults", began.elapsed(), report.faults);
    println!("on disk {} bytes a session", report.bytes / sessions.max(1));
    let grown = resident()?.saturating_sub(before);
    println!("in memory {} MB for all, page cache and measuring included", grown / 1_000_000);
    let began = Instant::now();
    embedded.backup(&args.folder.join("backup.redb"))?;
    let size = fs::metadata(args.folder.join("backup.redb"))?.len();
    println!("backed up in {:?}, {} bytes a session", began.elapsed(), size / sessions.max(1));
    let copy = args.folder.join("crashed");
    crashed(&folder, &copy)?;
    drop((store, embedded));
    println!("opened again after a stop in {:?}", open(&folder)?.1);
    println!("opened again after a crash in {:?}", open(&copy)?.1);
    drop(known);

    let before = resident()?;
    let memory = MemoryStore::new(&BOUNDS, &OsEntropy)?;
    let store: Arc<dyn Store> = Arc::new(memory);
    let known = Arc::new(fill(&store, args.sessions).await?);
    let grown = resident()?.saturating_sub(before);
    println!("the memory store: {} bytes a session", grown / args.sessions.max(1) as u64);
    verbs("memory, full", &store, &known, args.seconds).await
}
