//! A log that is as it was written is taken, and whatever was done to it is found and named.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use countersign_sdk::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::event::{Checkpoint, Refused};
use super::record::{Hash, Record};
use super::retention::Retention;
use super::verify::{Covered, Gaps, Report, Said, VerifyError, verify};
use super::*;
use crate::model::reason::Reason;

pub(super) const NOW: Timestamp = Timestamp::from_unix(1_700_000_000);
pub(super) const DAY: u64 = 86_400;

pub(super) fn refused(account: &str) -> Event {
    let account = Some(account.to_owned());
    Event::SignInRefused(Refused { account, ..Refused::of(Reason::SignatureMismatch) })
}

pub(super) fn checkpoint_of(head: Head) -> Event {
    checkpoint_at(head, head.time)
}

pub(super) fn checkpoint_at(head: Head, at: Timestamp) -> Event {
    let Head { seq, hash, covered, covered_hash, begins, .. } = head;
    let jws = format!("{seq} {hash} {covered} {covered_hash} {begins} {}", at.as_unix());
    Event::Checkpoint(Checkpoint { upto: seq, hash, jws, key: json!({}) })
}

/// A checkpoint of these tests is its own signature; that of others is service/checkpoint.rs's affair.
pub(super) fn read(said: &Checkpoint) -> Result<Said, String> {
    let parts: Vec<&str> = said.jws.split(' ').collect();
    let [seq, hash, after, after_hash, begins, at] = parts[..] else {
        return Err("no checkpoint".to_owned());
    };
    let covered = |seq: &str, hash: &str| {
        let seq = seq.parse().map_err(|_| "no place")?;
        Ok::<_, &str>(Covered { seq, hash: hash.parse().map_err(|_| "no hash")? })
    };
    Ok(Said {
        covers: covered(seq, hash)?,
        after: covered(after, after_hash)?,
        begins: begins.parse().map_err(|_| "no hash")?,
        at: Timestamp::from_unix(at.parse().map_err(|_| "no time")?),
    })
}

/// More than any of these logs has.
pub(super) const GAPS: Gaps = Gaps { records: 1000, seconds: 10_000 * DAY };

pub(super) fn open(folder: &TempDir, options: &Options) -> Result<Audit, OpenError> {
    Audit::open(folder.path(), options, OnFailure::Refuse)
}

/// `count` records, a checkpoint after every tenth; `apart` seconds between them.
pub(super) async fn fill(audit: &Audit, count: u64, apart: u64) {
    for at in 0..count {
        let now = NOW.plus(at * apart);
        audit.write(refused(&format!("eip155:1:0x{at:040}")), now).await.unwrap();
        if at % 10 == 9 {
            audit.keep(checkpoint_at(audit.head(), now), now).await.unwrap();
        }
    }
}

pub(super) fn log_of(folder: &TempDir) -> PathBuf {
    folder.path().join(folder::FOLDER)
}

pub(super) fn judged(log: &Path) -> Result<Report, VerifyError> {
    verify(log, &read, &[], GAPS)
}

/// Whether the log was found wrong, and where; an unfinished line counts as found.
pub(super) fn found(log: &Path) -> Option<(u64, Wrong)> {
    match judged(log) {
        Ok(report) if report.unfinished > 0 => {
            Some((report.last + 1, Wrong::Unreadable("unfinished".to_owned())))
        }
        Ok(_) => None,
        Err(VerifyError::Fault(fault)) => Some((fault.seq, fault.wrong)),
        Err(error) => panic!("{error}"),
    }
}

/// A filled log in one segment, and its lines.
pub(super) fn filled(count: u64) -> (TempDir, PathBuf, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let audit = open(&folder, &Options::default()).unwrap();
    runtime.block_on(fill(&audit, count, 1));
    drop(audit);
    let path = folder::segments(&log_of(&folder)).unwrap().remove(0).path;
    let lines = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    (folder, path, lines)
}

pub(super) fn put(path: &Path, lines: &[String]) {
    fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_after_it_was_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let audit = open(&folder, &Options::default()).unwrap();
    assert!(matches!(open(&folder, &Options::default()), Err(OpenError::InUse(_))));
    assert!(folder::is_written(&log_of(&folder)));
    fill(&audit, 25, DAY / 10).await;
    let head = audit.head();
    drop(audit);
    assert!(!folder::is_written(&log_of(&folder)));
    let report = judged(&log_of(&folder)).unwrap();
    assert_eq!((report.first, report.last, report.checkpoints), (1, 27, 2));
    assert!(report.segments > 2, "a day is a segment: {report:?}");
    let audit = open(&folder, &Options::default()).unwrap();
    assert_eq!((audit.head().seq, audit.head().hash), (head.seq, head.hash));
    assert_eq!(audit.head().covered, head.covered);
    fill(&audit, 5, 1).await;
    drop(audit);
    assert_eq!(judged(&log_of(&folder)).unwrap().last, 32);
    for (path, mode) in [
        (log_of(&folder), 0o700),
        (folder::segments(&log_of(&folder)).unwrap().remove(0).path, 0o600),
    ] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[tokio::test]
async fn many_at_once_are_all_recorded_once() {
    let folder = tempfile::tempdir().unwrap();
    let audit = open(&folder, &Options::default()).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..500 {
        let audit = audit.clone();
        tasks.spawn(async move { audit.write(refused(&format!("cosmos:x:{at}")), NOW).await });
    }
    assert!(tasks.join_all().await.into_iter().all(|written| written.is_ok()));
    let page = audit.search(Query::default()).await.unwrap();
    assert_eq!(page.records.len(), 500);
    let about = Query { about: Some("cosmos:x:77".to_owned()), ..Query::default() };
    assert_eq!(audit.search(about).await.unwrap().records.len(), 1);
    let first = audit.search(Query { limit: 10, ..Query::default() }).await.unwrap();
    assert_eq!((first.records.len(), first.next), (10, Some(10)));
    let rest = audit.search(Query { after: 490, limit: 10, ..Query::default() }).await.unwrap();
    assert_eq!((rest.records.len(), rest.next), (10, None));
    let event = Query { event: Some("sign_in".to_owned()), ..Query::default() };
    assert!(audit.search(event).await.unwrap().records.is_empty());
}

#[test]
fn a_line_that_a_crash_left_unfinished_is_removed_and_told() {
    let (folder, path, lines) = filled(12);
    let whole = fs::read(&path).unwrap();
    let last = lines.last().unwrap().len() + 1;
    for cut in [1, 2, last / 2, last - 1] {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        assert!(matches!(found(&log_of(&folder)), Some((13, _))), "it is told before the start");
        drop(open(&folder, &Options::default()).unwrap());
        let report = judged(&log_of(&folder)).unwrap();
        assert_eq!((report.last, report.unfinished), (13, 0));
        let told = fs::read_to_string(&path).unwrap().lines().last().unwrap().to_owned();
        let told = Record::read(&told).unwrap().event();
        let Some(Event::Repaired(repaired)) = told else { panic!("{told:?}") };
        assert_eq!(repaired.bytes, (last - cut) as u64);
    }
}

#[tokio::test]
async fn searches_that_wait_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    for audit in [open(&folder, &Options::default()).unwrap(), Audit::in_memory()] {
        let reading = Arc::clone(&audit.searches).acquire_many_owned(2).await.unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let audit = audit.clone();
            waiting.spawn(async move { audit.search(Query::default()).await });
        }
        let busy = async |waiting: &mut tokio::task::JoinSet<Result<Page, AuditError>>| {
            waiting.join_next().await.unwrap().unwrap().unwrap_err()
        };
        for _ in 0..10 {
            assert_eq!(busy(&mut waiting).await, AuditError::Busy);
        }
        drop(reading);
        while let Some(found) = waiting.join_next().await {
            assert!(found.unwrap().is_ok());
        }
    }
}

#[tokio::test]
async fn a_search_passes_over_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let audit = open(&folder, &Options::default()).unwrap();
    fill(&audit, 20, DAY / 5).await;
    let segments = folder::segments(&log_of(&folder)).unwrap();
    let (first, last) = (&segments[0].path, &segments[segments.len() - 1].path);
    for (path, more, is_read) in [
        (last, "x".repeat(100), true),
        (last, "x".repeat(300 * 1024), false),
        (first, "x".repeat(100), false),
        (first, format!("{}\n", "x".repeat(300 * 1024)), false),
    ] {
        let whole = fs::read(path).unwrap();
        fs::write(path, [&whole[..], more.as_bytes()].concat()).unwrap();
        let found = audit.search(Query::default()).await;
        assert_eq!(found.is_ok(), is_read, "{} bytes in {}", more.len(), path.display());
        fs::write(path, whole).unwrap();
    }
}

#[test]
fn a_log_that_is_wrong_refuses_the_start_and_stays_as_it_is() {
    let (folder, path, mut lines) = filled(12);
    lines[5] = lines[5].replacen("signature_mismatch", "signature_mismatcH", 1);
    put(&path, &lines);
    let Err(OpenError::Wrong { fault }) = open(&folder, &Options::default()) else { panic!() };
    assert_eq!((fault.seq, fault.line), (6, 6));
    assert_eq!(fs::read_to_string(&path).unwrap().lines().collect::<Vec<_>>(), lines);
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(open(&folder, &Options::default()), Err(OpenError::Shared { .. })));
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(log_of(&folder), Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(open(&folder, &Options::default()), Err(OpenError::Shared { .. })));
}

#[test]
fn a_log_that_was_written_again_fails_at_its_checkpoint() {
    let (folder, path, lines) = filled(25);
    let records: Vec<Record> = lines.iter().map(|line| Record::read(line).unwrap()).collect();
    for changed in 0..20 {
        let (mut prev, mut forged) = (Hash::BEGINNING, Vec::new());
        for (at, record) in records.iter().enumerate() {
            let mut event = record.event().unwrap();
            if at == changed {
                if matches!(event, Event::Checkpoint(_)) {
                    continue;
                }
                event = refused("somebody:else:1");
            }
            let again = Record::of(forged.len() as u64 + 1, record.time, prev, &event).unwrap();
            prev = again.hash;
            forged.push(again.line());
        }
        put(&path, &forged);
        // Without the checkpoint itself the next one stands a place before.
        let expected = if changed < 10 {
            11
        } else if changed == 10 {
            21
        } else {
            22
        };
        match found(&log_of(&folder)) {
            Some((seq, Wrong::Checkpoint(_))) => assert_eq!(seq, expected, "{changed}"),
            other => panic!("{changed}: {other:?}"),
        }
    }
}

#[test]
fn a_log_that_ends_early_is_found_by_what_is_known_elsewhere() {
    let (folder, path, lines) = filled(25);
    let last = Record::read(lines.last().unwrap()).unwrap();
    let known = [Covered { seq: last.seq, hash: last.hash }];
    let log = log_of(&folder);
    assert!(verify(&log, &read, &known, GAPS).is_ok());
    put(&path, &lines[..20]);
    assert!(judged(&log).is_ok(), "nothing in the log itself says that there was more");
    let Err(VerifyError::Fault(fault)) = verify(&log, &read, &known, GAPS) else { panic!() };
    assert_eq!((fault.seq, fault.wrong), (21, Wrong::Truncated(last.seq)));
    let other = [Covered { seq: 3, hash: last.hash }];
    let Err(VerifyError::Fault(fault)) = verify(&log, &read, &other, GAPS) else { panic!() };
    assert_eq!(fault.seq, 3);
}

#[tokio::test]
async fn old_records_go_and_what_is_left_still_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention { seconds: Some(3 * DAY), bytes: None };
    let audit = open(&folder, &Options { retention, ..Options::default() }).unwrap();
    fill(&audit, 100, DAY / 5).await;
    drop(audit);
    let log = log_of(&folder);
    let report = judged(&log).unwrap();
    assert!(report.first > 60 && report.first < 110, "{report:?}");
    assert!(report.segments >= 4 && report.segments <= 8, "{report:?}");
    // Another segment that goes is not what the retention says.
    let segments = folder::segments(&log).unwrap();
    let kept = fs::read(&segments[0].path).unwrap();
    fs::remove_file(&segments[0].path).unwrap();
    assert!(matches!(found(&log), Some((_, Wrong::Beginning))));
    fs::write(&segments[0].path, kept).unwrap();
    fs::set_permissions(&segments[0].path, Permissions::from_mode(0o600)).unwrap();
    assert!(judged(&log).is_ok());
    fs::remove_file(&segments[1].path).unwrap();
    assert!(matches!(found(&log), Some((seq, Wrong::Dropped(_))) if seq == segments[1].first));
}

#[tokio::test]
async fn a_removal_that_is_not_signed_yet_takes_nothing_back() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention { seconds: Some(3 * DAY), bytes: None };
    let audit = open(&folder, &Options { retention, ..Options::default() }).unwrap();
    fill(&audit, 40, DAY / 5).await;
    assert!(judged(&log_of(&folder)).unwrap().first > 1, "one removal is signed and done");
    let told = async || {
        let query = Query { event: Some("trimmed".to_owned()), ..Query::default() };
        audit.search(query).await.unwrap().records.len()
    };
    let before = told().await;
    for at in 40..50 {
        audit.write(refused("eip155:1:0x1"), NOW.plus(at * DAY / 5)).await.unwrap();
    }
    assert_eq!(told().await, before + 1, "another one waits for its signature");
    assert!(judged(&log_of(&folder)).is_ok());
}

#[tokio::test]
async fn a_log_does_not_grow_beyond_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention { seconds: None, bytes: Some(20_000) };
    let audit = open(&folder, &Options { retention, ..Options::default() }).unwrap();
    fill(&audit, 200, DAY / 5).await;
    drop(audit);
    let log = log_of(&folder);
    let bytes: u64 =
        folder::segments(&log).unwrap().iter().map(|s| fs::metadata(&s.path).unwrap().len()).sum();
    assert!(bytes < 30_000, "{bytes}");
    assert!(judged(&log).unwrap().first > 1);
}

#[tokio::test]
async fn a_collector_gets_the_same_lines() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.jsonl");
    let stream = Some(Target::File(copy.clone()));
    let audit = open(&folder, &Options { stream, ..Options::default() }).unwrap();
    fill(&audit, 30, 1).await;
    let log = folder::segments(&log_of(&folder)).unwrap().remove(0).path;
    let copied = async {
        while fs::read(&copy).unwrap() != fs::read(&log).unwrap() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), copied).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn one_flipped_bit_is_found_in_its_record(place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let (folder, path, _) = filled(23);
        let mut bytes = fs::read(&path).unwrap();
        let place = place.index(bytes.len());
        let line = bytes[..place].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        bytes[place] ^= 1 << bit;
        fs::write(&path, bytes).unwrap();
        let (seq, wrong) = found(&log_of(&folder)).expect("it is found");
        prop_assert_eq!(seq, line, "{:?}", wrong);
    }

    #[test]
    fn one_dropped_record_is_found(at in 0..23_usize) {
        let (folder, path, mut lines) = filled(23);
        lines.remove(at);
        put(&path, &lines);
        // A log's first line has the place of its file.
        let expected = Some((at as u64 + 1, Wrong::Dropped(at as u64 + 2)));
        prop_assert_eq!(found(&log_of(&folder)), expected);
    }

    #[test]
    fn one_inserted_record_is_found(from in 0..25_usize, to in 0..25_usize) {
        let (folder, path, mut lines) = filled(23);
        let line = lines[from].clone();
        lines.insert(to, line);
        put(&path, &lines);
        let (seq, wrong) = found(&log_of(&folder)).expect("it is found");
        // Beside its own place, the second of the two is the one that is too many.
        let expected = if to == from { to as u64 + 2 } else { to as u64 + 1 };
        prop_assert_eq!(seq, expected);
        let is_named = matches!(wrong, Wrong::Inserted(_) | Wrong::Reordered(_));
        prop_assert!(is_named, "{:?}", wrong);
    }

    #[test]
    fn one_forged_record_is_found(at in 1..24_usize) {
        let (folder, path, mut lines) = filled(23);
        let before = Record::read(&lines[at - 1]).unwrap();
        let forged = Record::of(before.seq + 1, NOW, before.hash, &refused("a:b:c")).unwrap();
        lines.insert(at, forged.line());
        put(&path, &lines);
        let expected = Some((at as u64 + 2, Wrong::Inserted(at as u64 + 1)));
        prop_assert_eq!(found(&log_of(&folder)), expected);
    }

    #[test]
    fn two_records_in_another_order_are_found(one in 0..25_usize, other in 0..25_usize) {
        prop_assume!(one != other);
        let (folder, path, mut lines) = filled(23);
        lines.swap(one, other);
        put(&path, &lines);
        let (first, later) = (one.min(other) as u64 + 1, one.max(other) as u64 + 1);
        prop_assert_eq!(found(&log_of(&folder)), Some((first, Wrong::Reordered(later))));
    }

    #[test]
    fn no_line_makes_the_reader_fall(line in ".{0,200}") {
        let _ = Record::read(&line);
        let _ = proof::Proof::read(line.as_bytes());
    }
}
