#include "config/import_directory.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
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

}  // namespace

base::Result<ImportedStreams> read_import_directory(const std::string& directory,
                                                    const std::string& prefix) {
  const auto paths = list(directory, prefix);
  if (!paths) return paths.error();
  if (paths->empty())
    return base::Error{base::Errc::not_found, "no file in " + directory +
                                                  " has a name that starts with " +
                                                  base::quoted(prefix) + ", which --prefix sets"};
  std::vector<NginxText> files;
  std::vector<ImportRemark> unreadable;
  for (const fs::path& path : *paths) {
    auto text = read_text_file(path.string());
    if (text) {
      files.push_back({path.string(), std::move(*text)});
    } else {
      unreadable.push_back({path.string(), 0, "", text.error().message});
    }
  }
  ImportedStreams out = parse_nginx_streams(files);
  out.rejected.insert(out.rejected.begin(), std::make_move_iterator(unreadable.begin()),
                      std::make_move_iterator(unreadable.end()));
  return out;
}

}  // namespace sc::config
