//! A file descriptor kept in hand, so that a listener can go on where the process has no others
//! left.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

/// One descriptor that nothing uses. It is given up when a connection could not be accepted
/// otherwise.
#[derive(Debug, Default)]
pub struct DescriptorReserve(Option<OwnedFd>);

impl DescriptorReserve {
    /// Takes a descriptor into reserve, if there is none yet and the process may have one more.
    /// It is a second descriptor of `listener`, which needs no file.
    pub fn restore(&mut self, listener: &impl AsFd) {
        if self.0.is_none() {
            self.0 = listener.as_fd().try_clone_to_owned().ok();
        }
    }

    /// Gives the descriptor up after a failed `accept`, so that it can be tried again at once.
    /// Returns whether that can help.
    pub fn give_up(&mut self, error: &io::Error) -> bool {
        is_out_of_descriptors(error) && self.0.take().is_some()
    }
}

/// Returns whether an error says that the process or the system has no descriptor left.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| [Errno::EMFILE, Errno::ENFILE].contains(&Errno::from_raw(code)))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::TcpListener;

    use nix::errno::Errno;

    use super::DescriptorReserve;

    #[test]
    fn the_reserve_helps_once_and_only_against_a_lack_of_descriptors() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut reserve = DescriptorReserve::default();
        let none_left = io::Error::from_raw_os_error(Errno::EMFILE as i32);
        assert!(!reserve.give_up(&none_left), "nothing is held yet");
        reserve.restore(&listener);
        assert!(!reserve.give_up(&io::Error::from_raw_os_error(Errno::ECONNABORTED as i32)));
        assert!(reserve.give_up(&none_left));
        assert!(!reserve.give_up(&none_left));
    }
}
