use super::*;

fn settle(file: &str, given: Given) -> Result<Settings> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lade.toml");
    std::fs::write(&path, file).unwrap();
    given.settle(Some(&path))
}

fn text<T: std::fmt::Debug>(outcome: Result<T>) -> String {
    outcome.unwrap_err().chain()
}

#[test]
fn defaults_fill_what_is_not_given() {
    let settings = settle("data_dir = '/data'", Given::default()).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        (settings.job_memory_bytes, settings.file_size_max_bytes, settings.flush_after_s),
        (256 << 20, 512 << 20, 300)
    );
    assert_eq!((settings.region, settings.account_id), (None, None));
    assert!(settings.root_key.is_none() && settings.jobs_concurrent > 0);
}

#[test]
fn flags_hold_against_the_file() {
    let file = "region = 'eu-west-1'\njob_memory = '1GiB'\nflush_after_s = 5\ndata_dir = '/data'";
    let given = Given { region: Some("eu-central-1".into()), ..Given::default() };
    let settings = settle(file, given).unwrap();
    assert_eq!(settings.region.as_deref(), Some("eu-central-1"));
    assert_eq!((settings.job_memory_bytes, settings.flush_after_s), (1 << 30, 5));
}

#[test]
fn the_memory_of_all_jobs_can_be_given() {
    let settings = settle("jobs_memory = '64MiB'\ndata_dir = '/data'", Given::default()).unwrap();
    assert_eq!(settings.jobs_memory_bytes, 64 << 20);
}

#[test]
fn an_unknown_key_is_named() {
    let text = text(settle("regoin = 'x'", Given::default()));
    assert!(text.contains("regoin") && text.contains("lade.toml"), "{text}");
}

#[test]
fn settings_that_make_no_sense_are_named() {
    for (file, name) in [
        ("region = 'US East'", "region"),
        ("account_id = '1'", "account_id"),
        ("jobs_concurrent = 0", "jobs_concurrent"),
        ("quotas = 'some'", "quotas"),
        ("catalog = 'mysql://host/database'", "catalog must be sqlite"),
        ("at_rest = 'open'", "at_rest must be sealed or plain"),
        ("cors_origins = ['https://shop.example/']", "cors_origins"),
        ("cors_origins = ['shop.example']", "cors_origins"),
        ("job_memory = '1KiB'", "job_memory"),
        ("job_memory = 'much'", "much"),
        ("jobs_memory = '63MiB'", "jobs_memory must be at least 64MiB"),
        ("jobs_memory = 'all'", "all is no size"),
        ("put_queue = '1KiB'", "put_queue must be at least 64KiB"),
        ("connections_max = 3", "connections_max"),
        ("client_timeout_s = 0", "client_timeout_s"),
        ("listen = 'nowhere'", "listen"),
        ("tls_certificate = '/c.pem'", "tls_key"),
        ("tls_ca = '/c.pem'", "tls_certificate"),
        ("root_access_key_id = 'AKIAROOTROOTROOT'", "root_secret_access_key"),
        ("root_access_key_id = 'a/b'\nroot_secret_access_key = 'x'", "root key"),
    ] {
        let text = text(settle(file, Given::default()));
        assert!(text.contains(name), "{file}: {text}");
    }
}

#[test]
fn the_address_of_the_catalog_is_a_secret() {
    let place = |text: &str| {
        settle(&format!("catalog = '{text}'\ndata_dir = '/data'"), Given::default()).map(|s| s.catalog)
    };
    assert!(place("sqlite").unwrap().is_none());
    let shown = format!("{:?}", place("postgres://lade:between-us@db/lade").unwrap().unwrap());
    assert!(!shown.contains("between-us"), "{shown}");
    assert!(!text(place("between-us").map(drop)).contains("between-us"));
}

#[test]
fn listening_beyond_this_machine_has_to_be_asked_for() {
    assert!(text(settle("listen = '0.0.0.0:80'", Given::default())).contains("--allow-plain-http"));
    let settings =
        settle("listen = '0.0.0.0:80'\nallow_plain_http = true\ndata_dir = '/data'", Given::default());
    assert_eq!(settings.unwrap().listen.port(), 80);
    let files = "tls_certificate = 'c.pem'\ntls_key = '/k.pem'";
    let settings = settle(&format!("listen = '0.0.0.0:80'\n{files}\ndata_dir = '/data'"), Given::default());
    assert!(settings.unwrap().tls.unwrap().certificate.is_absolute());
    assert!(settle("listen = '[::1]:0'\ndata_dir = '/data'", Given::default()).is_ok());
}

#[test]
fn a_secret_is_never_shown() {
    let file = "root_access_key_id = 'AKIAROOTROOTROOT'\nroot_secret_access_key = 'canary-canary-canary'\ndata_dir = '/d'";
    let settings = settle(file, Given::default()).unwrap();
    assert!(!format!("{settings:?}").contains("canary"));
}

#[test]
fn tasks_run_here_unless_a_scheduler_is_given() {
    let engine = |text: &str| settle(&format!("{text}\ndata_dir = '/data'"), Given::default());
    assert_eq!(engine("").unwrap().engine, Engine::Local);
    assert!(text(engine("engine = 'spark'")).contains("engine must be local or ballista"));
    let asked = engine("engine = 'ballista'\nscheduler = 'node-1:8081'");
    if cfg!(feature = "cluster") {
        assert_eq!(asked.unwrap().engine, Engine::Ballista { scheduler: "node-1:8081".into() });
        for wrong in ["", "scheduler = 'node-1'", "scheduler = 'http://node-1:1'", "scheduler = ':1'"] {
            let refused = text(engine(&format!("engine = 'ballista'\n{wrong}")));
            assert!(refused.contains("needs the setting scheduler"), "{refused}");
        }
    } else {
        assert!(text(asked).contains("cargo build --release --features cluster"));
    }
}

#[test]
fn schedulers_and_executors_listen_beyond_this_machine_only_when_told() {
    assert!(listen_in_private("127.0.0.1:8081", false).is_ok());
    assert!(listen_in_private("0.0.0.0:8081", true).is_ok());
    let refused = listen_in_private("0.0.0.0:8081", false).unwrap_err();
    assert!(refused.message().contains("on a private network, say --allow-plain-http"));
}
