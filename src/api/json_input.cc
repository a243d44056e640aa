#include "api/json_input.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <set>
#include <utility>

#include "api/json_reader.h"
#include "base/text.h"

namespace sc::api {
namespace {

// What a stream tells of itself.
constexpr std::array<std::string_view, 12> kReadOnly{
    "state",           "reason",         "created_at", "updated_at", "created_by", "revision",
    "sessions_active", "sessions_total", "bytes_in",   "bytes_out",  "ended",      "resolution"};

// Nobody reads more of them, and a body may have a fault in every byte.
constexpr std::size_t kMaxFaults = 20;

constexpr std::chrono::milliseconds kMostDrainTimeout = std::chrono::days(1);  // as DRAIN_TIMEOUT

constexpr const char* kWhatIsAText = "is a text or null";
constexpr const char* kWhatIsADuration =
    R"(is a duration such as "30s" (0, or digits with ms, s, m, h or d, of at most 365d), or null: as the service is set)";
constexpr const char* kWhatIsATime =
    R"(is a time such as "2026-11-01T14:03:00Z" (RFC 3339), or null: never)";
constexpr const char* kWhatIsDurable =
    R"(is "off", "established" or "early", or null: established)";
constexpr const char* kWhatIsATtl =
    R"(is a duration such as "1h" (digits with ms, s, m, h or d), more than 0 and at most 365d, or null: never)";

// One stream object. Its fields become a patch, for a whole stream one of the default.
class StreamReader {
 public:
  // `at`: the object's own pointer.
  StreamReader(std::string at, const base::Moment& now) : at_(std::move(at)), now_(now) {}

  enum class ReadOnly : unsigned char { skipped, refused };
  void read(const Json& object, ReadOnly read_only);

  // What the path says, where the body says something else.
  void check_port(std::uint16_t of_path) {
    if (port && *port != of_path)
      add_fault("port", "is " + std::to_string(*port) + ", and the path's is " +
                            std::to_string(of_path) + "; a stream's port does not change");
  }
  void require_backend() {
    const bool was_wrong = std::any_of(faults.begin(), faults.end(), [this](const auto& fault) {
      return fault.pointer == at_ + "/backend";
    });
    if (!patch.backend && !was_wrong)
      add_fault("backend", "is missing: where the stream leads, host:port");
  }
  void require_port() {
    const bool was_wrong = std::any_of(faults.begin(), faults.end(), [this](const auto& fault) {
      return fault.pointer == at_ + "/port";
    });
    if (!port && !was_wrong) add_fault("port", "is missing: a number from 1 to 65535");
  }
  void add_fault(std::string_view field, std::string detail) {
    if (faults.size() == kMaxFaults) return;
    faults.push_back({field.empty() ? at_ : at_ + "/" + pointer_token(field), std::move(detail)});
  }

  core::StreamPatch patch;
  std::optional<std::uint16_t> port;
  std::vector<FieldFault> faults;

 private:
  struct Field {
    std::string_view name;
    // Returns what the field may be, where the value is no such thing.
    std::string (*read)(StreamReader& self, const Json& value);
  };
  static const std::array<Field, 14> kFields;
  static std::string allowed_names();

  static std::string read_text(const Json& value, std::optional<std::string>& out) {
    if (!value.is_string() && !value.is_null()) return kWhatIsAText;
    out = value.is_null() ? std::string() : value.get<std::string>();
    return {};
  }
  using Duration = std::chrono::milliseconds;
  static std::string read_duration(const Json& value, std::optional<std::optional<Duration>>& out) {
    std::optional<Duration> duration;
    if (value.is_string()) duration = base::parse_duration(value.get_ref<const std::string&>());
    if (!duration && !value.is_null()) return kWhatIsADuration;
    out.emplace(duration);
    return {};
  }
  std::string read_port(const Json& value);
  std::string read_backend(const Json& value);
  std::string read_enabled(const Json& value);
  std::string read_expiry(const Json& value);
  std::string read_ttl(const Json& value);
  std::string read_max_sessions(const Json& value);
  std::string read_durable(const Json& value);

  std::string at_;
  base::Moment now_;
};

// In the order in which a stream shows them.
const std::array<StreamReader::Field, 14> StreamReader::kFields{{
    {"port", [](StreamReader& self, const Json& value) { return self.read_port(value); }},
    {"listen_address",
     [](StreamReader& self, const Json& value) {
       return read_text(value, self.patch.listen_address);
     }},
    {"backend", [](StreamReader& self, const Json& value) { return self.read_backend(value); }},
    {"label",
     [](StreamReader& self, const Json& value) { return read_text(value, self.patch.label); }},
    {"note",
     [](StreamReader& self, const Json& value) { return read_text(value, self.patch.note); }},
    {"owner",
     [](StreamReader& self, const Json& value) { return read_text(value, self.patch.owner); }},
    {"enabled", [](StreamReader& self, const Json& value) { return self.read_enabled(value); }},
    {"expires_at", [](StreamReader& self, const Json& value) { return self.read_expiry(value); }},
    {"ttl", [](StreamReader& self, const Json& value) { return self.read_ttl(value); }},
    {"max_sessions",
     [](StreamReader& self, const Json& value) { return self.read_max_sessions(value); }},
    {"connect_timeout",
     [](StreamReader& self, const Json& value) {
       return read_duration(value, self.patch.connect_timeout);
     }},
    {"idle_timeout",
     [](StreamReader& self, const Json& value) {
       return read_duration(value, self.patch.idle_timeout);
     }},
    {"lifetime", [](StreamReader& self,
                    const Json& value) { return read_duration(value, self.patch.lifetime); }},
    {"durable", [](StreamReader& self, const Json& value) { return self.read_durable(value); }},
}};

std::string StreamReader::allowed_names() {
  std::string names;
  for (const Field& field : kFields) names.append(names.empty() ? "" : ", ").append(field.name);
  return names;
}

void StreamReader::read(const Json& object, ReadOnly read_only) {
  if (!object.is_object()) {
    add_fault("", "is no object; a stream is one, with " + allowed_names());
    return;
  }
  for (const auto& [name, value] : object.items()) {
    const auto field = std::find_if(kFields.begin(), kFields.end(),
                                    [&name = name](const Field& f) { return f.name == name; });
    if (field != kFields.end()) {
      if (std::string wrong = field->read(*this, value); !wrong.empty())
        add_fault(name, std::move(wrong));
    } else if (std::find(kReadOnly.begin(), kReadOnly.end(), name) == kReadOnly.end()) {
      add_fault(name, "is no field of a stream; there are " + allowed_names());
    } else if (read_only == ReadOnly::refused) {
      add_fault(name, "is told by the service and cannot be set; what can be: " + allowed_names());
    }
  }
  // GET answers `expires_at: null`, so that one is no contradiction.
  const auto expiry = object.find("expires_at");
  const auto ttl = object.find("ttl");
  if (expiry != object.end() && ttl != object.end() && !expiry->is_null() && !ttl->is_null())
    add_fault("ttl", "stands beside expires_at; give one of them");
}

std::string StreamReader::read_port(const Json& value) {
  if (value.is_null()) return {};
  if (!value.is_number_integer() || value < 1 || value > 65535)
    return "is a number from 1 to 65535";
  port = value.get<std::uint16_t>();
  return {};
}

std::string StreamReader::read_backend(const Json& value) {
  if (!value.is_string()) return R"(is a text host:port, such as "mybackend:2000" or "[::1]:22")";
  auto backend = base::parse_host_port(value.get_ref<const std::string&>());
  if (!backend) return backend.error().message;
  patch.backend = std::move(*backend);
  return {};
}

std::string StreamReader::read_enabled(const Json& value) {
  if (!value.is_boolean() && !value.is_null()) return "is true or false";
  patch.enabled = value.is_null() || value.get<bool>();
  return {};
}

std::string StreamReader::read_expiry(const Json& value) {
  std::optional<base::WallTime> time;
  if (value.is_string()) time = base::parse_rfc3339(value.get_ref<const std::string&>());
  if (!time && !value.is_null()) return kWhatIsATime;
  if (time || !patch.expires_at) patch.expires_at.emplace(time);
  return {};
}

// Read after `expires_at`, as objects are sorted by key.
std::string StreamReader::read_ttl(const Json& value) {
  std::optional<Duration> ttl;
  if (value.is_string()) ttl = base::parse_duration(value.get_ref<const std::string&>());
  if (value.is_null() ? false : !ttl || ttl->count() == 0) return kWhatIsATtl;
  if (ttl) {
    patch.expires_at.emplace(now_.wall + *ttl);
    patch.ends_after.at = now_.steady + *ttl;
  } else if (!patch.expires_at) {
    patch.expires_at.emplace(std::nullopt);
  }
  return {};
}

std::string StreamReader::read_max_sessions(const Json& value) {
  if (value.is_null()) {
    patch.max_sessions = 0;
    return {};
  }
  if (!value.is_number_integer() || value < 1 || value > core::kMaxSessionsOfStream)
    return "is an integer from 1 to " + std::to_string(core::kMaxSessionsOfStream) +
           ", or null: as the service is set";
  patch.max_sessions = value.get<std::uint32_t>();
  return {};
}

std::string StreamReader::read_durable(const Json& value) {
  std::optional<core::Durability> durable;
  if (value.is_null()) durable = core::StreamSpec().durable;
  if (value.is_string()) durable = core::parse_durability(value.get_ref<const std::string&>());
  if (!durable) return kWhatIsDurable;
  patch.durable = durable;
  return {};
}

// Adds the wrong parts that the conductor found, below `at`. A field that has a fault already keeps
// that one.
void add_found(std::vector<FieldFault>& faults, const std::string& at,
               const base::Result<void>& checked) {
  if (checked) return;
  for (FieldFault& fault : to_problem(checked.error()).faults) {
    const std::string pointer = at + fault.pointer;
    const bool is_known = std::any_of(faults.begin(), faults.end(), [&](const FieldFault& known) {
      return known.pointer == pointer;
    });
    if (!is_known && faults.size() < kMaxFaults)
      faults.push_back({pointer, std::move(fault.detail)});
  }
}

core::StreamSpec whole_stream(const StreamReader& reader, std::uint16_t port) {
  core::StreamSpec spec;
  spec.port = port;
  return reader.patch.applied_to(std::move(spec));
}

}  // namespace

Outcome<core::StreamSpec> read_stream(std::string_view body, std::optional<std::uint16_t> port,
                                      const base::Moment& now, const CheckSpec& check) {
  const auto json = read_json(body);
  if (!json) return json.error();
  StreamReader reader("", now);
  reader.read(*json, StreamReader::ReadOnly::skipped);
  if (json->is_object()) reader.require_backend();
  if (port) reader.check_port(*port);
  core::StreamSpec spec = whole_stream(reader, port ? *port : reader.port.value_or(0));
  if (reader.faults.empty()) return spec;
  if (check && json->is_object()) add_found(reader.faults, "", check(spec));
  return invalid_fields(std::move(reader.faults));
}

Outcome<core::StreamPatch> read_patch(std::string_view body, std::uint16_t port,
                                      const base::Moment& now, const CheckPatch& check) {
  const auto json = read_json(body);
  if (!json) return json.error();
  StreamReader reader("", now);
  reader.read(*json, StreamReader::ReadOnly::refused);
  // To RFC 7396 a null takes the port away.
  if (json->is_object() && json->contains("port") && (*json)["port"].is_null())
    reader.add_fault("port", "cannot be taken away");
  reader.check_port(port);
  if (reader.faults.empty()) return std::move(reader.patch);
  if (check && json->is_object()) add_found(reader.faults, "", check(reader.patch));
  return invalid_fields(std::move(reader.faults));
}

Outcome<std::vector<core::StreamSpec>> read_stream_list(std::string_view body,
                                                        const base::Moment& now,
                                                        const CheckSpec& check) {
  const auto json = read_json(body);
  if (!json) return json.error();
  std::vector<FieldFault> faults;
  const auto list = json->is_object() ? json->find("streams") : json->end();
  const bool has_list = json->is_object() && list != json->end() && list->is_array();
  if (!has_list)
    faults.push_back({"/streams", R"(is missing or no array; the body is {"streams": [...]})"});
  if (!json->is_object()) return invalid_fields(std::move(faults));
  for (const auto& [name, value] : json->items()) {
    if (faults.size() == kMaxFaults) break;
    if (name == "next_cursor" && !value.is_null()) {
      faults.push_back({"/next_cursor",
                        "is not null, so these are not all streams: ask for the other pages too"});
    } else if (name != "streams" && name != "next_cursor") {
      faults.push_back({"/" + pointer_token(name), "is unknown here; there is streams"});
    }
  }
  if (!has_list) return invalid_fields(std::move(faults));
  std::vector<core::StreamSpec> specs;
  std::set<std::uint16_t> ports;
  for (const Json& each : *list) {
    if (faults.size() >= kMaxFaults) break;
    StreamReader reader("/streams/" + std::to_string(specs.size()), now);
    reader.read(each, StreamReader::ReadOnly::skipped);
    if (each.is_object()) {
      reader.require_port();
      reader.require_backend();
    }
    if (reader.port && !ports.insert(*reader.port).second)
      reader.add_fault("port", "is " + std::to_string(*reader.port) + ", as of one before");
    const std::size_t room = std::min(kMaxFaults - faults.size(), reader.faults.size());
    std::move(reader.faults.begin(), reader.faults.begin() + static_cast<std::ptrdiff_t>(room),
              std::back_inserter(faults));
    specs.push_back(whole_stream(reader, reader.port.value_or(0)));
  }
  if (faults.empty()) return specs;
  for (std::size_t i = 0; check && i < specs.size() && faults.size() < kMaxFaults; ++i)
    if ((*list)[i].is_object()) add_found(faults, "/streams/" + std::to_string(i), check(specs[i]));
  return invalid_fields(std::move(faults));
}

Outcome<std::optional<std::chrono::milliseconds>> read_drain(std::string_view body) {
  const auto json = read_json(body);
  if (!json) return json.error();
  if (!json->is_object())
    return invalid_fields(
        {{"", R"(is no object; it is one with timeout, such as {"timeout": "30s"})"}});
  std::optional<std::chrono::milliseconds> timeout;
  std::vector<FieldFault> faults;
  for (const auto& [name, value] : json->items()) {
    if (faults.size() == kMaxFaults) break;
    if (name != "timeout") {
      faults.push_back({"/" + pointer_token(name), "is unknown here; there is timeout"});
      continue;
    }
    if (value.is_null()) continue;
    if (value.is_string()) timeout = base::parse_duration(value.get_ref<const std::string&>());
    if (!timeout || *timeout > kMostDrainTimeout)
      faults.push_back(
          {"/timeout",
           R"(is a duration from 0 to 1d, such as "30s", or null: as DRAIN_TIMEOUT is set)"});
  }
  if (!faults.empty()) return invalid_fields(std::move(faults));
  return timeout;
}

}  // namespace sc::api
