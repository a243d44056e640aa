#include "config/import_directory.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "config/text_file.h"

namespace sc::config {
namespace {

namespace fs = std::filesystem;

base::Result<std::vector<fs::path>> list(const std::string& directory, const std::string& prefix) {
  std::vector<fs::path> out;
  std::error_code fault;
  for (fs::directory_iterator entry(directory, fault); !fault && entry != fs::directory_iterator();
       entry.increment(fault))
    if (entry->path().filename().string().rfind(prefix, 0) == 0) out.push_back(entry->path());
  if (fault)
    return base::Error{fault == std::errc::no_such_file_or_directory ? base::Errc::not_found
                                                                     : base::Errc::unavailable,
                       base::describe_errno("cannot read " + directory, fault.value())};
  std::sort(out.begin(), out.end());
  return out;
}

template <class T>
void append(std::vector<T>& to, std::vector<T> from) {
  std::move(from.begin(), from.end(), std::back_inserter(to));
}

}  // namespace

base::Result<ImportedStreams> read_import_directory(const std::string& directory,
                                                    const std::string& prefix) {
  const auto paths = list(directory, prefix);
  if (!paths) return paths.error();
  if (paths->empty())
    return base::Error{base::Errc::not_found, "no file in " + directory +
                                                  " has a name that starts with " +
                                                  base::quoted(prefix) + "; give --prefix TEXT"};
  ImportedStreams out;
  std::map<std::uint16_t, std::string> taken;  // port -> where
  for (const fs::path& path : *paths) {
    const auto text = read_text_file(path.string());
    if (!text) {
      out.rejected.push_back({path.string(), 0, "", text.error().message});
      continue;
    }
    ImportedStreams one = parse_nginx_streams(*text, path.string());
    append(out.ignored, std::move(one.ignored));
    append(out.rejected, std::move(one.rejected));
    for (ImportedStream& stream : one.streams) {
      const std::string port = std::to_string(stream.spec.port);
      const auto [before, is_new] = taken.try_emplace(
          stream.spec.port, stream.file + ", line " + std::to_string(stream.line));
      if (is_new) {
        out.streams.push_back(std::move(stream));
      } else {
        out.rejected.push_back({stream.file, stream.line, "listen " + port + ";",
                                "port " + port + " was taken already in " + before->second});
      }
    }
  }
  return out;
}

}  // namespace sc::config
