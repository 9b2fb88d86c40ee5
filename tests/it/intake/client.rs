//! A mail server that hands mail over: as small as it can be.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connected and greeted, by LMTP.
    pub async fn lmtp(address: SocketAddr) -> Self {
        Self::greeted(address, "LHLO mx.test").await
    }

    pub async fn greeted(address: SocketAddr, hello: &str) -> Self {
        let mut client = Self { stream: BufReader::new(TcpStream::connect(address).await.expect("a listener")) };
        assert!(client.answer().await.starts_with("220 "));
        let said = client.say(hello).await;
        assert!(said.starts_with("250"), "{said}");
        client
    }

    /// The last line of an answer.
    pub async fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await.expect("an answer");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    pub async fn write(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).await.expect("written");
    }

    pub async fn say(&mut self, command: &str) -> String {
        self.write(&format!("{command}\r\n")).await;
        self.answer().await
    }

    /// Hands a message over to recipients that are taken; what is answered for each, or once by SMTP.
    pub async fn send(&mut self, from: &str, to: &[&str], message: &str, answers: usize) -> Vec<String> {
        let said = self.say(&format!("MAIL FROM:<{from}>")).await;
        assert!(said.starts_with("250"), "{said}");
        for to in to {
            let said = self.say(&format!("RCPT TO:<{to}>")).await;
            assert!(said.starts_with("250"), "{to}: {said}");
        }
        self.data(message).await;
        let mut all = Vec::new();
        for _ in 0..answers {
            all.push(self.answer().await);
        }
        all
    }

    pub async fn data(&mut self, message: &str) {
        let said = self.say("DATA").await;
        assert!(said.starts_with("354"), "{said}");
        let text = message.replace("\r\n", "\n").replace('\n', "\r\n").replace("\r\n.", "\r\n..");
        self.write(&format!("{}\r\n.\r\n", text.trim_end_matches("\r\n"))).await;
    }

    /// Hands a message over to one recipient, who takes it.
    pub async fn hand(&mut self, from: &str, to: &str, message: &str) {
        let said = self.send(from, &[to], message, 1).await;
        assert!(said[0].starts_with("250"), "{said:?}");
    }
}
