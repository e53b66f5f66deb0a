use secrecy::ExposeSecret as _;

use super::*;

#[test]
fn a_secret_comes_from_a_file_without_its_last_newline() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("portcullis.yaml");
    std::fs::write(directory.path().join("secret"), "hunter2\r\n").unwrap();
    std::fs::write(directory.path().join("blank"), "\n").unwrap();
    std::fs::write(directory.path().join("large"), "x".repeat(70_000)).unwrap();
    std::fs::write(directory.path().join("binary"), [0xff]).unwrap();
    let with = |secret: &str| {
        std::fs::write(&file, GOOD.replace("env: CORP", &format!("file: {secret}"))).unwrap();
        load(&file, &|_| None)
    };

    let config = with("secret").unwrap();
    let Settings::Oidc(corp) = &config.providers[&ProviderName::new("corp")] else { panic!("oidc") };
    let ClientAuth::Basic(secret) = auth(&corp.app) else { panic!("basic") };
    assert_eq!(secret.expose_secret(), "hunter2");
    let StoreConfig::Sled { path } = &config.store;
    assert_eq!(path, &directory.path().join("data/control-plane"));

    let prefix = format!("{}:8: providers.corp.client_secret: ", file.display());
    let path = |name| directory.path().join(name).display().to_string();
    for (name, said) in [
        ("blank", "the secret is empty".to_owned()),
        ("large", format!("{} is too large to be a secret", path("large"))),
        ("binary", format!("cannot read {}: stream did not contain valid UTF-8", path("binary"))),
        ("none", format!("cannot read {}: No such file or directory (os error 2)", path("none"))),
    ] {
        assert_eq!(with(name).unwrap_err().to_string(), format!("{prefix}{said}"));
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let forms = [
        "{ value: hunter2-hunter2, env: CORP }",
        "{ value: hunter2-hunter2, value: hunter2-hunter2 }",
        "{ value: [hunter2-hunter2] }",
        "{ value: { hunter2-hunter2: 1 } }",
        "{ values: hunter2-hunter2 }",
        "{ hunter2-hunter2 }",
        "[hunter2-hunter2]",
        "hunter2-hunter2",
        "!hunter2-hunter2",
        "{ value: !hunter2-hunter2 }",
        "{ value: *hunter2-hunter2 }",
        "{ value: &hunter2-hunter2 }",
        "{ value: 'hunter2-hunter2 }",
        "{ value: \"hunter2-hunter2\\q\" }",
        "{ value: %hunter2-hunter2 }",
        "{ value: @hunter2-hunter2 }",
        "{ value: `hunter2-hunter2 }",
        "{ value: |hunter2-hunter2 }",
        "{ value: !!int hunter2-hunter2 }",
        "{ value: !!binary hunter2-hunter2 }",
        "{ value: !!float hunter2-hunter2 }",
        "{ value: hunter2-hunter2: }",
        "{ value: hunter2-hunter2",
        "{ env: EMPTY }",
        "{}",
        "{ file: '' }",
    ];
    for form in forms {
        let problems = read(&GOOD.replace("{ env: CORP }", form)).unwrap_err();
        let said = format!("{problems} {problems:?}");
        assert!(!said.contains("hunter2"), "{form}: {said}");
    }
    for number in
        ["1234567890", "1e999", "0x1234567890", "-1234567890", "12345678901234567890123456789012345678901"]
    {
        let said = changed("{ env: CORP }", &format!("{{ value: {number} }}"));
        assert_eq!(
            said,
            "p:8: providers.corp.client_secret: must be text, not a number or a boolean: put it in quotes"
        );
    }
    let config = read(GOOD).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}
