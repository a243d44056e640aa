#pragma once

#include <string>

#include "base/result.h"
#include "http/message.h"

namespace sc::api {

// RFC 9457 answers. The only place where an Errc becomes a status.
http::Response problem(int status, const std::string& detail);
http::Response problem(const base::Error& error);

// 200 with a JSON body.
http::Response json_answer(std::string body);

}  // namespace sc::api
