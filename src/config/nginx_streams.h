#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/stream.h"

namespace sc::config {

// A stream of the original service and where it stands.
struct ImportedStream {
  core::StreamSpec spec;
  std::string file;
  unsigned line = 0;  // of its `listen`
  bool operator==(const ImportedStream&) const = default;
};

struct ImportRemark {
  std::string file;
  unsigned line = 0;  // 0: the file as a whole
  std::string text;   // the directive
  std::string why;
  bool operator==(const ImportRemark&) const = default;
};

struct ImportedStreams {
  std::vector<ImportedStream> streams;  // each port once
  std::vector<ImportRemark> ignored;   // of streams that were taken: directives without effect here
  std::vector<ImportRemark> rejected;  // what is missing in `streams`, and why
};

struct NginxText {
  std::string file;  // its name, for places
  std::string text;
};

// Reads `server { listen 9000; proxy_pass mybackend:22; }` as nginx's stream module has it, with
// `listen ADDRESS:port`, proxy_timeout, proxy_connect_timeout and an `upstream` of one usable
// server, which may stand in another one of the files: nginx has one stream block for all of them.
// A server that says more than a stream can is taken without it and that is reported. A server that
// restricts clients, or changes the bytes on the way, is rejected: it would do something else here.
// Of a port that several servers have the first one counts. Pure.
ImportedStreams parse_nginx_streams(const std::vector<NginxText>& files);
ImportedStreams parse_nginx_streams(std::string_view text, std::string_view file_name);

}  // namespace sc::config
