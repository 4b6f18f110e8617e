//! Files of earlier layouts are brought to the present one, and those of later ones refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use redb::{Database, ReadableDatabase as _};

use super::tests::{NOW, new_folder, opened, opening};
use super::*;
use crate::model::session::Usage;
use crate::model::session::tests::session;
use crate::store::contract::by;

const BY_OWNER: redb::TableDefinition<'_, &[u8; 32], ()> = redb::TableDefinition::new("by_owner");

/// As earlier layouts were: 1 had an index of subjects and keys in the file, and none had a table of usage.
async fn of_layout(version: u32, folder: &Path) -> Session {
    let store = opened(folder);
    // It was used five times, which stood in its record.
    let mut kept = session("did:key:a", true, NOW);
    kept.usage = Usage::begun(5, NOW);
    assert!(store.open(kept.clone(), NOW, NOW).await.is_ok());
    drop(store);
    let database = Database::open(folder.join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.delete_table(tables::USAGE).unwrap();
    if version == 1 {
        transaction.open_table(BY_OWNER).unwrap().insert(&[7; 32], ()).unwrap();
    }
    let mut meta = transaction.open_table(tables::META).unwrap();
    meta.insert(tables::SCHEMA, &version.to_be_bytes()[..]).unwrap();
    drop(meta);
    transaction.commit().unwrap();
    kept
}

#[tokio::test]
async fn an_older_layout_is_brought_to_the_present_one() {
    for version in [0, 1, 2, 3] {
        let (_outer, folder) = new_folder();
        let kept = of_layout(version, &folder).await;
        let store = opened(&folder);
        assert_eq!(store.sessions_of("did:key:a", NOW).await, Ok(vec![kept.clone()]));
        let read = store.session(kept.id, NOW).await.unwrap();
        assert!(store.rotate(read, 5, by(kept.bound_to, NOW), NOW).await.is_ok(), "{version}");
        assert_eq!(store.session(kept.id, NOW).await.unwrap().usage.generation, 6);
        assert_eq!(store.check(NOW).unwrap().faults, 0);
        drop(store);
        assert_eq!(opened(&folder).check(NOW).unwrap().sessions, 1, "and only once");
        let database = Database::open(folder.join(FILE)).unwrap();
        let left = database.begin_read().unwrap().open_table(BY_OWNER);
        assert!(matches!(left, Err(redb::TableError::TableDoesNotExist(_))), "{version}");
    }
}

#[tokio::test]
async fn a_later_layout_and_another_database_are_refused() {
    let (_outer, folder) = new_folder();
    drop(opened(&folder));
    let database = Database::open(folder.join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut meta = transaction.open_table(tables::META).unwrap();
    meta.insert(tables::SCHEMA, &7_u32.to_be_bytes()[..]).unwrap();
    drop(meta);
    transaction.commit().unwrap();
    drop(database);
    let newer = opening(&folder, 10).unwrap_err();
    assert!(matches!(newer, OpenError::Newer { found: 7, .. }), "{newer}");

    let (_outer, folder) = new_folder();
    drop(opened(&folder));
    fs::remove_file(folder.join(FILE)).unwrap();
    drop(Database::create(folder.join(FILE)).unwrap());
    fs::set_permissions(folder.join(FILE), fs::Permissions::from_mode(0o600)).unwrap();
    let foreign = opening(&folder, 10).unwrap_err();
    assert!(matches!(foreign, OpenError::Foreign), "{foreign}");
}
