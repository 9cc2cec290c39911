//! Fetches a page that a client names: from listed hosts only, never from addresses that are not the open internet's.
//!
//! Whoever can make a server fetch can make it knock at doors that only the server reaches. So a host must be listed; every
//! address that its name resolves to is checked, and the connection goes to those very addresses (a second look-up could
//! say something else); each redirect goes through all of it again; and refusals say nothing of what was found.

mod address;
mod robots;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use robots::Robots;

/// How this program names itself, and what `robots.txt` may call it by.
const AGENT: &str = concat!("wellspring/", env!("CARGO_PKG_VERSION"));
/// Redirects that are followed.
const REDIRECTS: usize = 3;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest address that is read, in bytes.
const LONGEST_URL: usize = 2_048;

/// `[fetch]`: adding documents by their address.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FetchConfig {
    /// Whether `url` is taken at all.
    pub(crate) enabled: bool,
    /// Hosts that may be fetched from: `docs.example.org`, or `*.example.org` for all below it.
    pub(crate) hosts: Vec<String>,
    /// Most bytes of a page, unpacked.
    pub(crate) max_bytes: usize,
    /// Seconds for all of it, redirects included.
    pub(crate) timeout_seconds: u64,
    /// Content types that are taken.
    pub(crate) media_types: Vec<String>,
}

impl Default for FetchConfig {
    fn default() -> Self {
        let types = [
            "text/html",
            "text/plain",
            "text/markdown",
            "text/csv",
            "application/xhtml+xml",
            "application/pdf",
            "application/json",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ];
        Self {
            enabled: false,
            hosts: Vec::new(),
            max_bytes: 32 << 20,
            timeout_seconds: 30,
            media_types: types.map(str::to_owned).into(),
        }
    }
}

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    /// Where it was in the end.
    pub(crate) url: Url,
    /// What its server calls it, without parameters.
    pub(crate) media_type: String,
    /// All of it.
    pub(crate) bytes: Bytes,
}

/// Why there is none. `Display` may be shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The configuration does not allow it.
    #[error("adding by `url` is off here (`fetch.enabled`): fetch the page and send it as a `file`")]
    Off,
    /// The address is not of a kind that is fetched.
    #[error("an `https` address of a host by its name is wanted, without user, password and port")]
    Form,
    /// The host is not listed, or leads where nobody should be led: the two look the same.
    #[error("pages of this host are not fetched here (`fetch.hosts`)")]
    Host,
    /// `robots.txt` says no.
    #[error("the host's robots.txt asks programs not to read this page")]
    Robots,
    /// It redirects too often.
    #[error("the page redirects more than 3 times")]
    Redirects,
    /// It is too large.
    #[error("the page is larger than `fetch.max_bytes`")]
    TooLarge,
    /// It is of another kind.
    #[error("the page's content type is not one of `fetch.media_types`")]
    MediaType,
    /// It took too long.
    #[error("the page did not come within `fetch.timeout_seconds`")]
    TooSlow,
    /// The host did not give it.
    #[error("the host did not answer with the page")]
    Failed,
}

/// Finds the addresses of a name.
#[async_trait]
trait Resolve: Send + Sync {
    async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
struct System;

#[async_trait]
impl Resolve for System {
    async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// What an address must be like; the tests' servers are on this machine.
#[derive(Clone, Copy)]
struct Rules {
    scheme: &'static str,
    any_port: bool,
    may_connect: fn(SocketAddr) -> bool,
}

const STRICT: Rules =
    Rules { scheme: "https", any_port: false, may_connect: |address| address::is_public(address.ip()) };

/// Fetches pages.
#[derive(Clone)]
pub(crate) struct Fetcher {
    config: Arc<FetchConfig>,
    resolver: Arc<dyn Resolve>,
    rules: Rules,
}

impl Fetcher {
    pub(crate) fn new(config: FetchConfig) -> Self {
        Self { config: Arc::new(config), resolver: Arc::new(System), rules: STRICT }
    }

    /// The page at an address.
    pub(crate) async fn fetch(&self, address: &str) -> Result<Page, Refused> {
        if !self.config.enabled {
            return Err(Refused::Off);
        }
        if address.len() > LONGEST_URL {
            return Err(Refused::Form);
        }
        let url = Url::parse(address).map_err(|_| Refused::Form)?;
        let patience = Duration::from_secs(self.config.timeout_seconds);
        tokio::time::timeout(patience, self.follow(url)).await.map_err(|_| Refused::TooSlow)?
    }

    async fn follow(&self, mut url: Url) -> Result<Page, Refused> {
        for _ in 0..=REDIRECTS {
            let client = self.admit(&url).await?;
            let robots = self.robots(&client, &url).await?;
            if !robots.permit(&url) {
                return Err(Refused::Robots);
            }
            let response = client.get(url.clone()).send().await.map_err(|_| Refused::Failed)?;
            if !response.status().is_redirection() {
                return self.page(url, response).await;
            }
            let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            url = to.and_then(|to| url.join(to).ok()).ok_or(Refused::Failed)?;
        }
        Err(Refused::Redirects)
    }

    /// A client that can reach the addresses that were checked just now, and nothing else.
    async fn admit(&self, url: &Url) -> Result<Client, Refused> {
        let named = url.username().is_empty() && url.password().is_none();
        if url.scheme() != self.rules.scheme || !named || (url.port().is_some() && !self.rules.any_port) {
            return Err(Refused::Form);
        }
        // Every way of writing a number (0x7f.1, 2130706433, [::ffff:7f00:1]) has become an address here.
        let Some(Host::Domain(host)) = url.host() else { return Err(Refused::Form) };
        if !self.is_listed(host) {
            return Err(Refused::Host);
        }
        let port = url.port_or_known_default().ok_or(Refused::Form)?;
        let addresses = self.resolver.addresses(host, port).await.map_err(|_| Refused::Host)?;
        if addresses.is_empty() || !addresses.iter().all(|address| (self.rules.may_connect)(*address)) {
            return Err(Refused::Host);
        }
        let (host, https) = (host.to_owned(), self.rules.scheme == "https");
        // Reading the system's certificates blocks.
        tokio::task::spawn_blocking(move || {
            // An error means that another part of the program installed a provider first: just as good.
            drop(rustls::crypto::ring::default_provider().install_default());
            Client::builder()
                .user_agent(AGENT)
                .https_only(https)
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT)
                .resolve_to_addrs(&host, &addresses)
                .build()
        })
        .await
        .map_err(|_| Refused::Failed)?
        .map_err(|_| Refused::Failed)
    }

    fn is_listed(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.config.hosts.iter().any(|listed| {
            let listed = listed.to_ascii_lowercase();
            match listed.strip_prefix("*.") {
                Some(domain) => {
                    host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                }
                None => host == listed,
            }
        })
    }

    /// What the host asks of programs (RFC 9309): everything may be read where it says nothing, nothing where it fails.
    async fn robots(&self, client: &Client, url: &Url) -> Result<Robots, Refused> {
        let mut address = url.clone();
        address.set_path("/robots.txt");
        address.set_query(None);
        address.set_fragment(None);
        let response = client.get(address).send().await.map_err(|_| Refused::Failed)?;
        match response.status() {
            StatusCode::OK => {
                let text = read(response, robots::LARGEST).await.map_err(|_| Refused::Robots)?;
                Ok(Robots::parse(&String::from_utf8_lossy(&text)))
            }
            status if status.is_server_error() => Err(Refused::Robots),
            _ => Ok(Robots::default()),
        }
    }

    async fn page(&self, url: Url, response: Response) -> Result<Page, Refused> {
        if response.status() != StatusCode::OK {
            return Err(Refused::Failed);
        }
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let media_type =
            kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
        if !self.config.media_types.contains(&media_type) {
            return Err(Refused::MediaType);
        }
        let bytes = read(response, self.config.max_bytes).await?;
        Ok(Page { url, media_type, bytes })
    }
}

/// A body of at most this many bytes, however small it was packed.
async fn read(mut response: Response, most: usize) -> Result<Bytes, Refused> {
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(Refused::TooLarge);
    }
    let mut bytes = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|_| Refused::Failed)? {
        if bytes.len() + piece.len() > most {
            return Err(Refused::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests;
