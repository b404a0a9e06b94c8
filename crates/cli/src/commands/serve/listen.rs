//! Where a server listens.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, ToSocketAddrs as _, UdpSocket};

use crate::args::Listen;
use crate::problem::{Exit, Problem};

/// Returns what other machines call this one: its address on the way out, else its name.
pub(super) fn own_name() -> String {
    /// An address that no machine has (RFC 5737). Nothing is sent to it: it is asked which way it would go.
    const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);
    let on_the_way_out = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect(ELSEWHERE).and_then(|()| socket.local_addr()));
    match on_the_way_out {
        Ok(address) if !address.ip().is_unspecified() && !address.ip().is_loopback() => {
            address.ip().to_string()
        }
        _ => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    }
}

impl Listen {
    fn bind(&self) -> io::Result<Vec<TcpListener>> {
        match self.host.as_str() {
            // One socket takes both kinds of addresses, where there are both.
            "" => TcpListener::bind((Ipv6Addr::UNSPECIFIED, self.port))
                .or_else(|error| match error.kind() {
                    ErrorKind::AddrInUse | ErrorKind::PermissionDenied => Err(error),
                    _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port)),
                })
                .map(|listener| vec![listener]),
            // Clients try one address after the other, and which comes first differs.
            "localhost" => {
                let first = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))?;
                let port = first.local_addr()?.port();
                let second = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
                match second {
                    // Not where somebody else answers for half of the clients.
                    Err(error) if self.port != 0 && error.kind() == ErrorKind::AddrInUse => {
                        Err(error)
                    }
                    second => Ok([Some(first), second.ok()].into_iter().flatten().collect()),
                }
            }
            host => {
                let unknown = |_| io::Error::new(ErrorKind::NotFound, "there is no such host");
                let found = (host, self.port).to_socket_addrs().map_err(unknown)?;
                let mut addresses: Vec<_> = found.collect();
                addresses.dedup();
                addresses.into_iter().map(TcpListener::bind).collect()
            }
        }
    }
}

/// Listens on all of `places`.
pub(in crate::commands) fn bind_all(places: &[Listen]) -> Result<Vec<TcpListener>, Problem> {
    let mut listeners = Vec::new();
    for place in places {
        listeners.extend(place.bind().map_err(|error| refused(place, &error))?);
    }
    Ok(listeners)
}

fn refused(place: &Listen, error: &io::Error) -> Problem {
    let (reason, hint) = match error.kind() {
        ErrorKind::AddrInUse => (
            "something else listens there".to_owned(),
            "choose another port with --listen; `--listen 127.0.0.1:0` takes a free one",
        ),
        ErrorKind::AddrNotAvailable => (
            "this machine has no such address".to_owned(),
            "`--listen :5000` listens on every address that it has",
        ),
        ErrorKind::PermissionDenied => (
            "that is not permitted".to_owned(),
            "ports below 1024 are often for root alone; choose a higher one",
        ),
        _ => (error.to_string(), "write `127.0.0.1:5000`, or `:5000` for every address"),
    };
    Problem::new(Exit::Usage, format!("cannot listen on {place}: {reason}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_listened_on_by_both_of_its_addresses() {
        let listen: Listen = "localhost:0".parse().unwrap();
        let addresses: Vec<_> =
            listen.bind().unwrap().iter().map(|listener| listener.local_addr().unwrap()).collect();
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
        // A machine may be without IPv6.
        if let [one, two] = addresses[..] {
            assert_eq!(one.port(), two.port());
        }
    }
}
