#include "net/tcp_position.h"

#include <sys/socket.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>

#include "net/socket.h"
#include "net/tcp_facts.h"
#include "relay/tcp_pair.h"
#include "support/catch.h"

namespace sc::test {
namespace {

std::uint64_t read_of(const base::Fd& fd) {
  const auto position = net::bytes_read(fd.get());
  REQUIRE(position);
  return *position;
}

std::uint64_t written_of(const base::Fd& fd) {
  const auto position = net::bytes_written(fd.get());
  REQUIRE(position);
  return *position;
}

std::string take(const base::Fd& fd, std::size_t size) {
  std::string bytes(size, '\0');
  wait_for(fd.get(), POLLIN);
  const ssize_t got = ::recv(fd.get(), bytes.data(), bytes.size(), 0);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

TEST_CASE("a connection's position grows by what is taken out, not by what arrives") {
  const TcpPair pair = make_tcp_pair();
  const std::uint64_t before = read_of(pair.near);
  send_all(pair.far, pattern(1000));
  wait_for(pair.near.get(), POLLIN);
  CHECK(read_of(pair.near) == before);
  CHECK(take(pair.near, 300).size() == 300);
  CHECK(read_of(pair.near) == before + 300);
  CHECK(take(pair.near, 5000).size() == 700);
  CHECK(read_of(pair.near) == before + 1000);
}

TEST_CASE(
    "a connection's position grows by what the kernel takes, whether the peer has it or not") {
  const TcpPair pair = make_tcp_pair();
  keep_buffers_small(pair.near);
  keep_buffers_small(pair.far);
  const std::uint64_t before = written_of(pair.near);
  const std::string bytes = pattern(16 * 1024 * 1024);
  std::size_t taken = 0;
  while (const std::size_t some = send_some(pair.near, std::string_view(bytes).substr(taken)))
    taken += some;
  REQUIRE(taken < bytes.size());
  CHECK(written_of(pair.near) == before + taken);
  std::size_t received = 0;
  while (received < taken) received += take(pair.far, bytes.size()).size();
  CHECK(written_of(pair.near) == before + taken);
}

TEST_CASE("each end of a connection counts for itself, whoever opened it") {
  const TcpPair pair = make_tcp_pair();
  for (const auto& [from, to] : {std::pair(&pair.near, &pair.far), {&pair.far, &pair.near}}) {
    const std::uint64_t written = written_of(*from);
    const std::uint64_t read = read_of(*to);
    send_all(*from, "hello");
    CHECK(take(*to, 100) == "hello");
    CHECK(written_of(*from) == written + 5);
    CHECK(read_of(*to) == read + 5);
  }
}

TEST_CASE("an end is no byte, before it is read and after") {
  const TcpPair pair = make_tcp_pair();
  const std::uint64_t before = read_of(pair.near);
  const bool behind_bytes = GENERATE(false, true);
  const std::uint64_t size = behind_bytes ? 7 : 0;
  send_all(pair.far, std::string(size, 'x'));
  if (behind_bytes) wait_for(pair.near.get(), POLLIN);
  end_writes(pair.far);
  wait_for(pair.near.get(), POLLRDHUP);
  CHECK(read_of(pair.near) == before);
  SECTION("of one side") {}
  SECTION("of both sides, so that the connection is closed") {
    end_writes(pair.near);
    wait_for(pair.far.get(), POLLHUP);
    CHECK(read_of(pair.near) == before);
  }
  SECTION("of both sides, the other one first") {
    const TcpPair other = make_tcp_pair();
    const std::uint64_t start = read_of(other.near);
    end_writes(other.near);
    wait_for(other.far.get(), POLLRDHUP);
    send_all(other.far, std::string(size, 'x'));
    end_writes(other.far);
    wait_for(other.near.get(), POLLHUP);
    REQUIRE(net::is_closed(other.near.get()));
    CHECK(read_of(other.near) == start);
    CHECK(receive_some(other.near).ended);
    CHECK(read_of(other.near) == start + size);
  }
  CHECK(receive_some(pair.near).bytes.size() == size);
  CHECK(read_of(pair.near) == before + size);
  CHECK(receive_some(pair.near).ended);
  CHECK(read_of(pair.near) == before + size);
}

// Its end was written and is not even sent, as the peer takes nothing.
TEST_CASE("an end that comes while one's own is not acknowledged is no byte") {
  const TcpPair pair = make_tcp_pair();
  keep_buffers_small(pair.near);
  keep_buffers_small(pair.far);
  const std::string bytes = pattern(16 * 1024 * 1024);
  while (send_some(pair.near, bytes) > 0) {
  }
  const std::uint64_t before = read_of(pair.near);
  const bool is_first = GENERATE(false, true);
  if (is_first) end_writes(pair.near);
  send_all(pair.far, "hello");
  end_writes(pair.far);
  wait_for(pair.near.get(), POLLRDHUP);
  if (!is_first) end_writes(pair.near);
  CHECK(net::tcp_facts(pair.near.get())->state == (is_first ? "closing" : "last_ack"));
  CHECK(read_of(pair.near) == before);
  CHECK(receive_some(pair.near).bytes == "hello");
  CHECK(read_of(pair.near) == before + 5);
}

TEST_CASE("a position is right while bytes arrive and are acknowledged") {
  const TcpPair pair = make_tcp_pair();
  std::atomic<bool> is_over{false};
  const auto send_on = [&is_over](int fd) {
    const std::string chunk(500, 'x');
    while (!is_over)
      if (::send(fd, chunk.data(), chunk.size(), MSG_NOSIGNAL) < 0) std::this_thread::yield();
  };
  const auto take_on = [&is_over](int fd) {
    std::string chunk(700, ' ');
    while (!is_over)
      if (::recv(fd, chunk.data(), chunk.size(), 0) < 0) std::this_thread::yield();
  };
  std::uint64_t read = read_of(pair.near);
  std::uint64_t written = written_of(pair.near);
  std::thread sender(send_on, pair.far.get());
  std::thread taker(take_on, pair.far.get());
  std::string chunk(400, ' ');
  std::size_t wrong = 0;
  for (int i = 0; i < 20'000; ++i) {
    const ssize_t got = ::recv(pair.near.get(), chunk.data(), chunk.size(), 0);
    if (got > 0) read += static_cast<std::size_t>(got);
    const ssize_t sent = ::send(pair.near.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL);
    if (sent > 0) written += static_cast<std::size_t>(sent);
    const auto read_now = net::bytes_read(pair.near.get());
    const auto written_now = net::bytes_written(pair.near.get());
    if ((read_now && *read_now != read) || (written_now && *written_now != written)) ++wrong;
  }
  is_over = true;
  sender.join();
  taker.join();
  CHECK(wrong == 0);
}

TEST_CASE("an urgent byte is a byte like others") {
  const TcpPair pair = make_tcp_pair();
  const std::uint64_t before = read_of(pair.near);
  send_all(pair.far, "ab");
  REQUIRE(::send(pair.far.get(), "!", 1, MSG_OOB) == 1);
  send_all(pair.far, "cd");
  std::string out;
  while (out.size() < 5) {
    CHECK(read_of(pair.near) == before + out.size());
    out += take(pair.near, 100);
  }
  CHECK(out == "ab!cd");
  CHECK(read_of(pair.near) == before + 5);
}

TEST_CASE("after a failure that nobody was told nothing is said of what was read") {
  TcpPair pair = make_tcp_pair();
  send_all(pair.far, "hello");
  wait_for(pair.near.get(), POLLIN);
  reset(pair.far);
  wait_for(pair.near.get(), POLLERR);
  CHECK_FALSE(net::bytes_read(pair.near.get()));
  CHECK(net::take_error(pair.near.get()) == ECONNRESET);
}

TEST_CASE("a descriptor that is no connection has no position") {
  const base::Fd listener = listen_on_loopback();
  for (const int fd : {listener.get(), -1}) {
    CHECK_FALSE(net::bytes_read(fd));
    CHECK_FALSE(net::bytes_written(fd));
  }
}

}  // namespace
}  // namespace sc::test
