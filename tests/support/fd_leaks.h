#pragma once

namespace sc::test {

// Every test binary counts the open descriptors around each test case, and fails when there are
// more after it than before. A test that makes some for the whole process on purpose (a library's
// own log socket, say) calls this at its end: what is open now is nobody's leak.
void forgive_open_fds();

// Did a test case leave one open? For main().
bool fds_were_leaked();

}  // namespace sc::test
