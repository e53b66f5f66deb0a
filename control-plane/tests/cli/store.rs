//! A store that is damaged.

use std::fs;
use std::path::Path;

use crate::home::Home;
use crate::program::program;
use crate::serve::Serve;

/// All files with what is in them.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        files.push((entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
    }
    files.sort();
    files
}

#[test]
fn t34_serve_does_not_start_with_a_store_that_is_damaged() {
    let home = Home::new();
    home.log_in();
    let store = home.store_directory();
    let db = store.join("db");
    let good = fs::read(&db).unwrap();
    let scrambled: Vec<u8> = good.iter().map(|byte| byte ^ 0x55).collect();
    for damaged in [None, Some(&b""[..]), Some(b"not a database"), Some(&scrambled)] {
        match damaged {
            Some(bytes) => fs::write(&db, bytes).unwrap(),
            None => fs::remove_file(&db).unwrap(),
        }
        let before = files(&store);
        for _ in 0..2 {
            let output = program(&["serve", "--config", home.file()], "");
            assert_eq!(output.code, Some(1), "{}", output.stderr);
            let said = format!("{}: the store that was here is damaged, restore it", store.display());
            assert!(output.stderr.contains(&said), "{}", output.stderr);
            assert!(files(&store) == before, "the files are left as they are");
        }
    }
    // The same segment twice makes sled panic.
    let mut twice = good.clone();
    twice.resize(8 << 20, 0);
    fs::write(&db, [&twice, &good[..]].concat()).unwrap();
    let output = program(&["serve", "--config", home.file()], "");
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let said = format!("{}: the store that was here is damaged", store.display());
    assert!(output.stderr.contains(&said), "{}", output.stderr);

    fs::write(&db, good).unwrap();
    assert!(Serve::start(&home).stop().0.success(), "restored");
}
