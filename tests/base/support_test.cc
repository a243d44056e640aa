// The tests' own tools, where a fault in them would hide one in what they test.
#include <fcntl.h>

#include <fstream>

#include "base/fd.h"
#include "support/catch.h"
#include "support/fd_count.h"
#include "support/tcp_peer.h"
#include "support/temp_dir.h"

namespace sc::test {
namespace {

TEST_CASE("the count of open descriptors sees one more, and one less again") {
  const std::size_t before = fd_count();
  base::Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(fd_count() == before + 1);
  CHECK(open_fds().at(fd.get()) == "/dev/null");
  fd.reset();
  CHECK(fd_count() == before);
}

TEST_CASE("a temporary folder is gone with its content") {
  std::filesystem::path path;
  {
    const TempDir dir;
    path = dir.path();
    std::filesystem::create_directories(path / "a" / "b");
    std::ofstream(path / "a" / "b" / "file") << "text";
    CHECK(std::filesystem::exists(path / "a" / "b" / "file"));
    const TempDir other;
    CHECK(other.path() != path);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a scripted peer sends, receives, half-closes and sees the end") {
  TcpListener listener;
  TcpPeer client = TcpPeer::connect(listener.port());
  TcpPeer server = listener.accept();
  client.send_all("hello");
  client.half_close();
  CHECK(server.receive(2) == "he");
  CHECK(server.receive_until_end() == "llo");
  server.send_all("reply");
  server.close();
  CHECK(client.receive_until_end() == "reply");
}

TEST_CASE("a scripted peer tells a reset from an orderly end") {
  TcpListener listener;
  TcpPeer client = TcpPeer::connect(listener.port());
  listener.accept().reset();
  CHECK(client.got_reset());
  TcpPeer other = TcpPeer::connect(listener.port());
  listener.accept().close();
  CHECK_FALSE(other.got_reset());
}

TEST_CASE("a scripted peer fails loudly when the other side ends early") {
  TcpListener listener;
  TcpPeer client = TcpPeer::connect(listener.port());
  {
    TcpPeer server = listener.accept();
    server.send_all("abc");
  }
  CHECK_THROWS_AS(client.receive(4), std::runtime_error);
  CHECK_THROWS_AS(TcpPeer::connect(ClosedPort().port()), std::runtime_error);
}

}  // namespace
}  // namespace sc::test
