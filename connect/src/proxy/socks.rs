//! A tunnel through a SOCKS 5 proxy (RFC 1928, with user name and password by RFC 1929).

use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

use super::server::ProxyCredentials;
use super::{ProxyCause, SocksReply};
use crate::ByteStream;

const VERSION: u8 = 5;
const CONNECT: u8 = 1;

const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;

const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Asks the proxy at the other end of `stream` for a tunnel to a host, which is a name or an address
/// without brackets. The proxy looks up a name, as in Go.
pub(super) async fn open(
    stream: &mut (dyn ByteStream + '_),
    host: &str,
    port: u16,
    credentials: Option<&ProxyCredentials>,
) -> Result<(), ProxyCause> {
    let greeting: &[u8] = match credentials {
        None => &[VERSION, 1, NO_AUTHENTICATION],
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
    };
    stream.write_all(greeting).await?;
    stream.flush().await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    match (chosen, credentials) {
        ([VERSION, NO_AUTHENTICATION], _) => {}
        ([VERSION, USER_AND_PASSWORD], Some(credentials)) => authenticate(stream, credentials).await?,
        ([VERSION, _], _) => return Err(ProxyCause::SocksMethod { has_credentials: credentials.is_some() }),
        _ => return Err(ProxyCause::NotSocks),
    }
    stream.write_all(&request(host, port)?).await?;
    stream.flush().await?;
    read_reply(stream, &super::open::host_and_port(host, port)).await
}

async fn authenticate(
    stream: &mut (dyn ByteStream + '_),
    credentials: &ProxyCredentials,
) -> Result<(), ProxyCause> {
    let ProxyCredentials { user, password } = credentials;
    let (Ok(user_length @ 1..), Ok(password_length)) =
        (u8::try_from(user.len()), u8::try_from(password.len()))
    else {
        return Err(ProxyCause::SocksUserTooLong);
    };
    let message = Zeroizing::new([&[1, user_length], &user[..], &[password_length], &password[..]].concat());
    stream.write_all(&message).await?;
    stream.flush().await?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    match answer {
        [1, 0] => Ok(()),
        [1, _] => Err(ProxyCause::SocksCredentials),
        _ => Err(ProxyCause::NotSocks),
    }
}

fn request(host: &str, port: u16) -> Result<Vec<u8>, ProxyCause> {
    let mut request = vec![VERSION, CONNECT, 0];
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
        Err(_) => {
            let length = u8::try_from(host.len()).map_err(|_| ProxyCause::SocksNameTooLong)?;
            request.extend([NAME, length]);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}

/// Reads the reply, with the address that the proxy connects from, which is not used.
async fn read_reply(stream: &mut (dyn ByteStream + '_), target: &str) -> Result<(), ProxyCause> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, reply, _, kind] = head;
    if version != VERSION {
        return Err(ProxyCause::NotSocks);
    }
    if reply != 0 {
        return Err(ProxyCause::Socks { target: target.to_owned(), reply: SocksReply(reply) });
    }
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(stream.read_u8().await?),
        _ => return Err(ProxyCause::NotSocks),
    };
    stream.read_exact(&mut vec![0; length + 2]).await?;
    Ok(())
}
