//! A mail server as small as it can be: it answers as the test says, and remembers what it took.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub from: String,
    pub to: String,
    /// Line ends are LF.
    pub text: String,
}

impl Taken {
    /// A header's value, unfolded.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.text.split("\n\n").next().unwrap_or_default().replace("\n ", " ");
        let wanted = format!("{}: ", name.to_lowercase());
        head.lines().find(|line| line.to_lowercase().starts_with(&wanted)).map(|line| line[wanted.len()..].to_owned())
    }

    /// The text part, decoded.
    pub fn plain(&self) -> String {
        let message = mail_parser::MessageParser::default().parse(self.text.as_bytes()).expect("a message");
        message.body_text(0).expect("a text").into_owned()
    }
}

#[derive(Default)]
struct State {
    taken: Vec<Taken>,
    /// What RCPT is answered with, by what the address begins with.
    answers: Vec<(String, String)>,
}

/// The server; it ends when it is dropped.
pub struct Smtp {
    pub port: u16,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Smtp {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            let mut clients = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                clients.spawn(async move {
                    let _ = talk(stream, state).await;
                });
            }
        });
        Self { port, state, serving }
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// From now on mail to addresses that begin so is answered so; 250 by default. The last word counts.
    pub fn answer(&self, to: &str, with: &str) {
        self.state.lock().expect("whole").answers.insert(0, (to.to_owned(), with.to_owned()));
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.state.lock().expect("whole").taken.clone()
    }
}

async fn talk(stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut from, mut to) = (String::new(), String::new());
    stream.write_all(b"220 test\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        let address = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let answer = match line.split([' ', ':']).next().unwrap_or_default().to_uppercase().as_str() {
            "MAIL" => {
                from = address();
                "250 ok".to_owned()
            }
            "RCPT" => {
                to = address();
                let state = state.lock().expect("whole");
                let known = state.answers.iter().find(|(start, _)| to.starts_with(start));
                known.map_or_else(|| "250 ok".to_owned(), |(_, answer)| answer.clone())
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line).await? == 0 {
                        return Ok(());
                    }
                    let line = line.trim_end_matches(['\r', '\n']);
                    if line == "." {
                        break;
                    }
                    text += line.strip_prefix('.').unwrap_or(line);
                    text.push('\n');
                }
                state.lock().expect("whole").taken.push(Taken { from: from.clone(), to: to.clone(), text });
                "250 taken".to_owned()
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}
