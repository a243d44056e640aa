#include "config/import_directory.h"

#include <sys/stat.h>

#include "fixture.h"
#include "support/catch.h"

namespace sc::config {
namespace {

std::string server(int port, const std::string& backend) {
  return "server { listen " + std::to_string(port) + "; proxy_pass " + backend + "; }\n";
}

TEST_CASE("an import reads the files with the prefix in lexical order and no others") {
  const test::TempDir folder;
  const auto write = [&](const char* name, const std::string& text) {
    return write_file(folder.path() / name, text);
  };
  const std::string later = write("_conductor_9001", server(9001, "b:1"));
  const std::string earlier = write("_conductor_9000", server(9000, "a:1"));
  const std::string odd = write("_conductor_9002", server(9002, "c") + "resolver 10.0.0.1;");
  write("other_9003", server(9003, "d:1"));
  write("my_conductor_9004", server(9004, "e:1"));

  const auto found = read_import_directory(folder.path().string(), "_conductor_");
  REQUIRE(found);
  const std::vector<ImportedStream> expected{{{9000, {"a", 1}}, earlier, 1},
                                             {{9001, {"b", 1}}, later, 1}};
  CHECK(found->streams == expected);
  REQUIRE(found->rejected.size() == 1);
  CHECK(found->rejected[0].file == odd);
  CHECK(found->ignored.size() == 1);
  const auto all = read_import_directory(folder.path().string() + "/", "");
  REQUIRE(all);
  CHECK(all->streams.size() == 4);
}

TEST_CASE("of two files with the same port the first is imported") {
  const test::TempDir folder;
  const std::string first = write_file(folder.path() / "p1", server(9000, "a:1"));
  const std::string second = write_file(folder.path() / "p2", "\n" + server(9000, "a:1"));
  const auto found = read_import_directory(folder.path().string(), "p");
  REQUIRE(found);
  CHECK(found->streams.size() == 1);
  const std::vector<ImportRemark> expected{
      {second, 2, "listen 9000;", "port 9000 was taken already in " + first + ", line 1"}};
  CHECK(found->rejected == expected);
}

TEST_CASE("what has the prefix but cannot be read as a file is rejected, the rest is imported") {
  const test::TempDir folder;
  std::filesystem::create_directory(folder.path() / "p_folder");
  std::filesystem::create_symlink("nowhere", folder.path() / "p_dangling");
  REQUIRE(::mkfifo((folder.path() / "p_fifo").c_str(), 0600) == 0);  // must not be waited for
  write_file(folder.path() / "p_good", server(9000, "a:1"));
  const auto found = read_import_directory(folder.path().string(), "p_");
  REQUIRE(found);
  CHECK(found->streams.size() == 1);
  REQUIRE(found->rejected.size() == 2);
  CHECK(contains(found->rejected[0].why, "ENOENT"));
  CHECK(contains(found->rejected[1].why, "EISDIR"));
  CHECK(found->rejected[1].line == 0);
}

TEST_CASE("a folder that cannot be read is an error, and so is one without a matching file") {
  const test::TempDir folder;
  const auto empty = read_import_directory(folder.path().string(), "mine-");
  REQUIRE_FALSE(empty);
  CHECK(empty.error().code == base::Errc::not_found);
  CHECK(contains(empty.error().message, "starts with \"mine-\""));
  const std::string missing = (folder.path() / "missing").string();
  const auto none = read_import_directory(missing, "");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == base::Errc::not_found);
  CHECK(contains(none.error().message, "cannot read " + missing));
  const auto file = read_import_directory(write_file(folder.path() / "file", ""), "");
  REQUIRE_FALSE(file);
  CHECK(contains(file.error().message, "ENOTDIR"));
}

}  // namespace
}  // namespace sc::config
