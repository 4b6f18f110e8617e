//! A log that was computed again, cut off or begun anew is seen at a start, and nothing goes before its time.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use countersign_sdk::time::Timestamp;
use tempfile::TempDir;

use super::event::{Event, Started};
use super::record::{Hash, Record};
use super::retention::Retention;
use super::tests::{
    DAY, GAPS, NOW, checkpoint_at, checkpoint_of, fill, filled, found, judged, log_of, open, put,
    read, refused,
};
use super::verify::{Gaps, VerifyError, kept_beside, verify};
use super::*;

/// A log of as many records, computed by somebody who cannot sign.
fn forged(count: u64) -> Vec<String> {
    let mut prev = Hash::BEGINNING;
    let mut lines = Vec::new();
    for seq in 1..=count {
        let record =
            Record::of(seq, NOW.plus(seq), prev, &refused(&format!("cosmos:x:{seq}"))).unwrap();
        prev = record.hash;
        lines.push(record.line());
    }
    lines
}

#[test]
fn a_log_that_was_computed_again_is_not_gone_on_with() {
    let (folder, path, lines) = filled(25);
    put(&path, &forged(40));
    let opened = open(&folder, &Options::default());
    assert!(matches!(opened, Err(OpenError::Replaced { seq: 21 })), "{opened:?}");
    put(&path, &lines[..15]);
    let opened = open(&folder, &Options::default());
    assert!(matches!(opened, Err(OpenError::Replaced { seq: 21 })), "cut off: {opened:?}");
    // Unsigned, it is one that too much is unsigned of.
    put(&path, &forged(40));
    let log = log_of(&folder);
    let few = Gaps { records: 30, seconds: 3600 };
    let found = verify(&log, &read, &[], few);
    assert!(matches!(found, Err(VerifyError::Gap { after: 0, to: 40, .. })), "{found:?}");
    let soon = Gaps { records: 100, seconds: 30 };
    let found = verify(&log, &read, &[], soon);
    assert!(matches!(found, Err(VerifyError::Gap { seconds: 39, .. })), "{found:?}");
    put(&path, &lines);
    assert!(open(&folder, &Options::default()).is_ok());
}

/// A start reads the newest segments, and these are as they were.
#[test]
fn a_log_whose_first_record_is_another_one_is_not_gone_on_with() {
    let (folder, path, lines) = filled(25);
    let at = |seq: usize| path.with_file_name(format!("{seq:020}.jsonl"));
    for (first, end) in [(1, 1), (2, 24), (25, 25), (26, lines.len())] {
        put(&at(first), &lines[first - 1..end]);
        fs::set_permissions(at(first), Permissions::from_mode(0o600)).unwrap();
    }
    drop(open(&folder, &Options::default()).unwrap());
    put(&path, &forged(1));
    let kept = kept_beside(folder.path()).unwrap();
    let opened = open(&folder, &Options::default());
    assert!(matches!(opened, Err(OpenError::Replaced { seq: 1 })), "{opened:?}");
    put(&path, &["no record".to_owned()]);
    let opened = open(&folder, &Options::default());
    assert!(matches!(opened, Err(OpenError::Replaced { seq: 1 })), "{opened:?}");
    assert_eq!(kept_beside(folder.path()).unwrap(), kept);
    // The retention may have removed it: whether it did is for `verify` to tell.
    fs::remove_file(&path).unwrap();
    assert!(open(&folder, &Options::default()).is_ok());
}

#[test]
fn what_was_signed_last_is_looked_for() {
    let (folder, path, lines) = filled(25);
    let kept = kept_beside(folder.path()).unwrap().unwrap();
    assert_eq!(kept.iter().map(|kept| kept.seq).collect::<Vec<_>>(), [21, 1]);
    let log = log_of(&folder);
    assert!(verify(&log, &read, &kept, GAPS).is_ok());
    put(&path, &lines[..15]);
    assert!(judged(&log).is_ok(), "nothing in the log itself says that there was more");
    let found = verify(&log, &read, &kept, GAPS);
    assert!(
        matches!(&found, Err(VerifyError::Fault(fault)) if fault.wrong == Wrong::Truncated(21))
    );
    put(&path, &forged(40));
    let found = verify(&log, &read, &kept, GAPS);
    assert!(matches!(&found, Err(VerifyError::Fault(fault)) if fault.seq == 1), "{found:?}");
    fs::remove_file(folder.path().join("audit.signed")).unwrap();
    assert_eq!(kept_beside(folder.path()).unwrap(), None);
}

/// Who writes a log anew can write into it that the server began again.
#[test]
fn a_record_that_waits_does_so_through_every_run_of_a_server() {
    let (folder, path, _) = filled(1);
    let (mut prev, mut lines) = (Hash::BEGINNING, Vec::new());
    // A day of records, each hour with a beginning; the server is away for half of it.
    for at in 0..24 {
        let started = Event::Started(Started { version: "1".to_owned(), issuer: String::new() });
        let begins = NOW.plus(at * 3600);
        for (event, time) in [(started, begins), (refused("cosmos:x:1"), begins.plus(1800))] {
            let record = Record::of(lines.len() as u64 + 1, time, prev, &event).unwrap();
            prev = record.hash;
            lines.push(record.line());
        }
    }
    put(&path, &lines);
    let found = verify(&log_of(&folder), &read, &[], Gaps { records: 1000, seconds: 3600 });
    assert!(matches!(found, Err(VerifyError::Gap { seconds: 43_200, .. })), "{found:?}");
}

#[test]
fn a_log_that_is_begun_anew_says_which_one_was_before() {
    let (folder, path, lines) = filled(25);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let covered = Record::read(&lines[20]).unwrap();
    fs::remove_file(&path).unwrap();
    for round in 0..2 {
        let audit = open(&folder, &Options::default()).unwrap();
        runtime.block_on(audit.keep(refused("cosmos:x:1"), NOW)).unwrap();
        let told = runtime.block_on(audit.search(Query::default())).unwrap().records;
        let Some(Event::LogReplaced(before)) = told[0].event() else { panic!("{told:?}") };
        assert_eq!((before.seq, before.hash), (covered.seq, covered.hash));
        assert_eq!(told.len(), round + 2, "it is told once");
    }
    assert_eq!(judged(&log_of(&folder)).unwrap().replaced, [1]);
    // What says which log was signed is gone: that is told as well.
    fs::remove_file(folder.path().join("audit.signed")).unwrap();
    let audit = open(&folder, &Options::default()).unwrap();
    runtime.block_on(audit.keep(refused("cosmos:x:2"), NOW)).unwrap();
    drop(audit);
    assert_eq!(judged(&log_of(&folder)).unwrap().replaced, [1, 4]);
}

#[test]
fn a_log_that_was_begun_anew_is_gone_on_with_before_that_is_kept_beside_it() {
    let (folder, path, _) = filled(25);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let kept = || kept_beside(folder.path()).unwrap().unwrap();
    let (in_the_way, before) = (folder.path().join("audit.signed.new"), kept());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&in_the_way).unwrap();
    for _ in 0..2 {
        let audit = open(&folder, &Options::default()).unwrap();
        runtime.block_on(audit.keep(refused("cosmos:x:1"), NOW)).unwrap();
        drop(audit);
        assert_eq!(kept(), before);
    }
    let audit = open(&folder, &Options::default()).unwrap();
    runtime.block_on(audit.keep(refused("cosmos:x:2"), NOW)).unwrap();
    fs::remove_dir(&in_the_way).unwrap();
    for _ in 0..2 {
        runtime.block_on(audit.keep(refused("cosmos:x:3"), NOW)).unwrap();
    }
    assert_eq!(kept(), before, "it is tried once for a checkpoint");
    runtime.block_on(audit.keep(checkpoint_of(audit.head()), audit.head().time)).unwrap();
    drop(audit);
    let own = kept();
    assert_eq!(own.iter().map(|own| own.seq).collect::<Vec<_>>(), [6, 1]);
    let found = verify(&log_of(&folder), &read, &own, GAPS).unwrap();
    assert_eq!(found.replaced, [1], "it is told once");
    assert!(open(&folder, &Options::default()).is_ok());
}

#[test]
fn a_log_is_not_taken_away_twice_without_a_trace() {
    let (folder, path, _) = filled(25);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // Nothing of the second, third and fourth log is signed.
    for round in 0..3 {
        fs::remove_file(&path).unwrap();
        let audit = open(&folder, &Options::default()).unwrap();
        runtime.block_on(audit.keep(refused("cosmos:x:1"), NOW)).unwrap();
        let told = runtime.block_on(audit.search(Query::default())).unwrap().records;
        let Some(Event::LogReplaced(before)) = told[0].event() else { panic!("{told:?}") };
        assert_eq!(before.seq, if round == 0 { 21 } else { 0 });
    }
    // Nor does the server go on with another one.
    put(&path, &forged(3));
    let opened = open(&folder, &Options::default());
    assert!(matches!(opened, Err(OpenError::Replaced { seq: 1 })), "{opened:?}");
    // The same of a first log.
    let folder = tempfile::tempdir().unwrap();
    let audit = open(&folder, &Options::default()).unwrap();
    runtime.block_on(audit.keep(refused("cosmos:x:1"), NOW)).unwrap();
    drop(audit);
    fs::remove_dir_all(log_of(&folder)).unwrap();
    let audit = open(&folder, &Options::default()).unwrap();
    runtime.block_on(audit.keep(refused("cosmos:x:1"), NOW)).unwrap();
    drop(audit);
    assert_eq!(judged(&log_of(&folder)).unwrap().replaced, [1]);
}

#[tokio::test]
async fn a_checkpoint_that_was_left_out_is_missed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let audit = open(&folder, &Options::default()).unwrap();
    fill(&audit, 10, 1).await;
    let skipping = Head { covered: 0, covered_hash: Hash::BEGINNING, ..audit.head() };
    audit.keep(checkpoint_of(skipping), audit.head().time).await.unwrap();
    drop(audit);
    assert!(
        matches!(found(&log_of(&folder)), Some((12, Wrong::Checkpoint(why))) if why.contains("left out"))
    );
}

#[tokio::test]
async fn what_the_retention_keeps_is_not_removed_for_room() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention { seconds: Some(1000 * DAY), bytes: Some(5_000) };
    let audit = open(&folder, &Options { retention, ..Options::default() }).unwrap();
    let mut written = 0;
    for at in 0..200 {
        let now = NOW.plus(at * DAY / 5);
        match audit.write(refused(&format!("eip155:1:0x{at:040}")), now).await {
            Ok(()) => written = at + 1,
            Err(error) => {
                assert_eq!(error, AuditError::Unavailable);
                break;
            }
        }
    }
    assert!(audit.check().is_err(), "it is one that cannot be written");
    drop(audit);
    let report = judged(&log_of(&folder)).unwrap();
    assert_eq!((report.first, report.last), (1, written));
    assert!(written > 10 && written < 40, "{written}");
}

/// A log that has grown to its bound at the moment that is given with it: its first segment goes when it is older than
/// `keep` seconds.
async fn full(folder: &TempDir, keep: u64) -> (Audit, Options, Timestamp) {
    let retention = Retention { seconds: Some(keep), bytes: Some(5_000) };
    let options = Options { retention, ..Options::default() };
    let (audit, full) = (open(folder, &options).unwrap(), NOW.plus(2 * DAY));
    for at in 0..20 {
        audit.write(refused(&format!("eip155:1:0x{at:040}")), NOW).await.unwrap();
    }
    audit.write(refused("eip155:1:0x1"), NOW.plus(DAY)).await.unwrap();
    let refused = audit.write(refused("eip155:1:0x2"), full).await;
    assert_eq!(refused, Err(AuditError::Unavailable));
    (audit, options, full)
}

#[tokio::test]
async fn a_log_that_was_full_goes_on_when_its_oldest_records_may_go() {
    let folder = tempfile::tempdir().unwrap();
    // A second from now on, and nobody can hand over an event by which that could be told.
    let (audit, _, full) = full(&folder, DAY).await;
    let goes_on = async {
        while audit.check().is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), goes_on).await.unwrap();
    let query = Query { event: Some("resumed".to_owned()), ..Query::default() };
    let told = audit.search(query).await.unwrap().records.remove(0);
    let Some(Event::Resumed(resumed)) = told.event() else { panic!("{told:?}") };
    assert!(resumed.since == full && told.time > full, "the gap is not in the log: {told:?}");
    audit.write(refused("eip155:1:0x3"), told.time).await.unwrap();
}

#[tokio::test]
async fn a_full_log_keeps_no_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, options, mut now) = full(&folder, 1000 * DAY).await;
    drop(audit);
    for _ in 0..2 {
        let audit = open(&folder, &options).unwrap();
        audit.keep(refused("eip155:1:0x3"), now).await.unwrap();
        now = now.plus(DAY);
        assert!(audit.write(refused("eip155:1:0x4"), now).await.is_err(), "one segment, not two");
    }
}

#[tokio::test]
async fn a_clock_that_jumps_removes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention { seconds: Some(3 * DAY), bytes: None };
    let audit = open(&folder, &Options { retention, ..Options::default() }).unwrap();
    fill(&audit, 15, DAY / 5).await;
    let (there, back) = (NOW.plus(3650 * DAY), NOW.plus(3 * DAY));
    for now in [there, back, back.plus(DAY), back.plus(2 * DAY)] {
        audit.write(refused("eip155:1:0x1"), now).await.unwrap();
        audit.keep(checkpoint_at(audit.head(), now), now).await.unwrap();
    }
    drop(audit);
    assert_eq!(judged(&log_of(&folder)).unwrap().first, 1);
}
