//! A bucket: what the server says to S3, told to a small one of our own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use poem::{
    Endpoint, Request, Response,
    http::{Method, StatusCode, header},
};
use tokio::net::TcpListener;

use super::{Customer, PNG, id};
use crate::{
    harness::World,
    processes::{Dev, free_port, vicket},
};

#[derive(Default)]
struct Held {
    by_path: HashMap<String, Vec<u8>>,
    /// Every `Authorization` that was sent.
    signatures: Vec<String>,
}

#[derive(Clone, Default)]
struct Bucket(Arc<Mutex<Held>>);

impl Endpoint for Bucket {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let path = request.uri().path().to_owned();
        let content = request.take_body().into_vec().await?;
        let mut held = self.0.lock().expect("a lock");
        held.signatures.push(request.header("authorization").unwrap_or_default().to_owned());
        let answer = Response::builder();
        Ok(match *request.method() {
            Method::PUT => {
                held.by_path.insert(path, content);
                answer.header(header::ETAG, "\"1\"").finish()
            }
            Method::GET => match held.by_path.get(&path) {
                Some(content) => answer
                    .header(header::ETAG, "\"1\"")
                    .header(header::LAST_MODIFIED, "Mon, 02 Mar 2026 10:15:00 GMT")
                    .body(content.clone()),
                None => answer.status(StatusCode::NOT_FOUND).finish(),
            },
            Method::DELETE => {
                held.by_path.remove(&path);
                answer.status(StatusCode::NO_CONTENT).finish()
            }
            _ => answer.status(StatusCode::METHOD_NOT_ALLOWED).finish(),
        })
    }
}

#[tokio::test]
async fn a_bucket_holds_the_bytes_and_its_secret_is_in_no_log() {
    let world = World::new().await;
    let mut server = world.serve().await;
    let bucket = Bucket::default();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(vicket::server::serve(
        listener,
        bucket.clone(),
        vicket::server::Clients::new(80),
        std::future::pending(),
    ));

    let port = free_port();
    let log = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bucket-{port}.log"));
    let url = |login: &str| world.url(login);
    let child = vicket()
        .env("VICKET_WIDGET_URL", url("vicket_gate_widget"))
        .env("VICKET_AGENT_URL", url("vicket_gate_agent"))
        .env("VICKET_WORKER_URL", url("vicket_worker"))
        .env("VICKET_LISTEN", format!("127.0.0.1:{port}"))
        .env("VICKET_LOG", "trace,hyper=info,h2=info")
        .env("VICKET_ATTACHMENTS", "s3://acme-files/support")
        .env("AWS_ENDPOINT_URL", &endpoint)
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "an-access-key")
        .env("AWS_SECRET_ACCESS_KEY", "hunter2-of-the-bucket")
        .arg("serve")
        .stderr(std::fs::File::create(&log).expect("a file"))
        .spawn();
    let mut process = Dev(Some(child.expect("the program starts")));
    process.is_ready(port).await;

    server.base = format!("http://127.0.0.1:{port}");
    let customer = Customer::of(&server, &world.site_a).await;
    let added = customer.upload(&[("screen.png", PNG), ("b.txt", b"b")]).await.ok(201).json();
    assert_eq!(customer.download(&id(&added["data"][1])).await.ok(200).text, "b");
    let (paths, signed) = {
        let held = bucket.0.lock().expect("a lock");
        (held.by_path.keys().cloned().collect::<Vec<_>>(), held.signatures.clone())
    };
    let place = format!("/acme-files/support/{}/{}/", world.site_a.org_id, world.site_a.id);
    assert!(paths.len() == 2 && paths.iter().all(|path| path.starts_with(&place)), "{paths:?}");
    assert!(signed.iter().all(|header| header.starts_with("AWS4-HMAC-SHA256 Credential=an-access-key/")), "{signed:?}");

    // Gone from the bucket: the row is there and says so by an error, not by an empty file.
    bucket.0.lock().expect("a lock").by_path.clear();
    customer.download(&id(&added["data"][1])).await.refused(503, "overloaded");
    process.end("TERM").await;
    let logged = std::fs::read_to_string(&log).expect("a log");
    std::fs::remove_file(&log).expect("removed");
    assert!(logged.contains("answered") && !logged.contains("hunter2"), "a secret in the log, or no log");
}
