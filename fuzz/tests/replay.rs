//! Every seed, and every input that once broke something, through its target: no fuzzer needed.

use std::fs;
use std::path::Path;

use countersign_fuzz::TARGETS;

#[test]
fn seeds_and_regressions_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, run) in TARGETS {
        let mut inputs = 0;
        for kind in ["seeds", "regressions"] {
            let Ok(folder) = fs::read_dir(root.join(kind).join(name)) else {
                continue;
            };
            for entry in folder {
                let path = entry.unwrap().path();
                println!("{}", path.display());
                run(&fs::read(path).unwrap());
                inputs += 1;
            }
        }
        assert!(inputs > 0, "{name} has no seed");
    }
}

/// A target is a binary, a line of `TARGETS` and a folder of seeds, under one name.
#[test]
fn every_target_is_a_binary() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(root.join(format!("fuzz_targets/{name}.rs")).is_file(), "{name}");
    }
    assert_eq!(fs::read_dir(root.join("fuzz_targets")).unwrap().count(), TARGETS.len());
}
