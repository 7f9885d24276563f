//! vrrpd as a library.
