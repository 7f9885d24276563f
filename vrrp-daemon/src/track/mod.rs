//! What may be watched beside adverts.
