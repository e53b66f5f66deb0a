//! What operators ask of a running control plane.

use std::net::TcpListener;

use portcullis_proto::v1;
use portcullis_proto::v1::replica_client::ReplicaClient;
use portcullis_proto::v1::watch_request::Message;

use crate::home::Home;
use crate::program::program;
use crate::serve::Serve;

#[test]
fn operators_list_and_revoke() {
    let home = Home::new();
    let login = home.log_in();
    let serve = Serve::start(&home);

    let grants = serve.ask(&["grants", "list"], "");
    assert_eq!(grants.code, Some(0), "{}", grants.stderr);
    let row =
        format!("{}\tdocs\tcorp\talice\talice@example.com\teditor\tAn editor\topenid email", login.grant);
    assert_eq!(grants.stdout.lines().nth(1), Some(row.as_str()));
    let clients = serve.ask(&["clients", "list"], "");
    assert_eq!(
        clients.stdout.lines().nth(1),
        Some("editor\tAn editor\tnone\tyes\thttp://127.0.0.1/callback")
    );
    assert_eq!(serve.ask(&["instances", "list"], "").stdout, "INSTANCE\tAPPLIED\tBEHIND\n");

    let nope = serve.ask(&["grants", "revoke", "nope"], "");
    assert_eq!((nope.code, nope.stdout.as_str()), (Some(1), ""));
    assert_eq!(nope.stderr, "portcullis-control-plane: there is no such live grant\n");
    let garbage = serve.ask(&["tokens", "revoke"], "garbage\n");
    assert_eq!(garbage.code, Some(1));
    assert!(garbage.stderr.contains("standard input: the token's prefix is not"), "{}", garbage.stderr);
    assert_eq!(serve.ask(&["everything", "revoke"], "").code, Some(1), "it must be meant");

    let grant = login.grant.to_string();
    for (number, (arguments, stdin)) in [
        (&["tokens", "revoke"][..], login.token.as_str()),
        (&["grants", "revoke", &grant], ""),
        (&["clients", "revoke", "editor"], ""),
        (&["subjects", "revoke", "corp", "alice"], ""),
        (&["servers", "revoke", "docs"], ""),
        (&["everything", "revoke", "--yes"], ""),
    ]
    .into_iter()
    .enumerate()
    {
        let output = serve.ask(arguments, stdin);
        assert_eq!(output.code, Some(2), "{arguments:?}: {}", output.stderr);
        let start = format!("revoked: entry {}, effective on 0 of 0 instances after ", number + 2);
        assert!(output.stdout.starts_with(&start), "{arguments:?}: {}", output.stdout);
        assert!(output.stdout.contains("no instance is connected"), "{arguments:?}: {}", output.stdout);
    }
    assert_eq!(serve.ask(&["grants", "list"], "").stdout.lines().count(), 1);
    serve.stop();
}

#[test]
fn a_revocation_that_is_not_everywhere_has_its_own_exit_code() {
    let home = Home::new();
    let serve = Serve::start(&home);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let hello =
        Message::Hello(v1::Hello { instance: "authz-1".into(), position: None, max_staleness_ms: 60_000 });
    let hello = v1::WatchRequest { message: Some(hello) };
    let address = serve.grpc.clone();
    let stream = runtime.block_on(async {
        let mut client = ReplicaClient::connect(address).await.unwrap();
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        sender.send(hello).await.unwrap();
        let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let mut responses = client.watch(requests).await.unwrap().into_inner();
        responses.message().await.unwrap();
        (sender, responses)
    });
    let output = serve.ask(&["everything", "revoke", "--yes"], "");
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stdout.contains("effective on 0 of 1 instances"), "{}", output.stdout);
    assert!(output.stdout.ends_with("\nnot yet on: authz-1\n"), "{}", output.stdout);
    assert_eq!(serve.ask(&["instances", "list"], "").stdout, "INSTANCE\tAPPLIED\tBEHIND\nauthz-1\t0\t2\n");
    drop(stream);
    serve.stop();
}

#[test]
fn without_a_control_plane_operators_are_told_so() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let refused = program(&["grants", "list", "--control-plane", &url], "");
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        refused.stderr,
        format!(
            "portcullis-control-plane: no control plane answers at {url}: Connection refused (os error 111)\n"
        )
    );
    for url in ["127.0.0.1:8081", "ftp://127.0.0.1:8081", "not a url"] {
        let output = program(&["grants", "list", "--control-plane", url], "");
        assert_eq!(output.code, Some(1));
        assert!(output.stderr.contains("--control-plane: "), "{url}: {}", output.stderr);
    }
}
