#pragma once

#include <string>

#include "base/result.h"
#include "config/nginx_streams.h"

namespace sc::config {

// All files of the folder whose names start with the prefix, in lexical order, as the original
// service left them. Of a port that two of them have the first counts. A file that cannot be read
// is rejected; a folder that cannot be read, or that has no such file, is an error.
base::Result<ImportedStreams> read_import_directory(const std::string& directory,
                                                    const std::string& prefix);

}  // namespace sc::config
