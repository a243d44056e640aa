#include "api/negotiation.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "api/header_list.h"
#include "base/text.h"

namespace sc::api {
namespace {

constexpr std::array<std::string_view, 2> kSpoken{"application/json", "application/problem+json"};

// Returns thousandths: `0`, `0.5`, `1.000` (RFC 9110 section 12.4.2), and `.2` as the JDK sends it.
// nullopt: not a weight.
std::optional<int> parse_weight(std::string_view given) {
  const std::string text = given.starts_with('.') ? "0" + std::string(given) : std::string(given);
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  const std::string_view digits =
      std::string_view(text).substr(std::min<std::size_t>(text.size(), 2));
  if (digits.find_first_not_of(text[0] == '1' ? "0" : "0123456789") != std::string_view::npos)
    return std::nullopt;
  int weight = text[0] == '1' ? 1 : 0;
  for (std::size_t i = 0; i < 3; ++i)
    weight = weight * 10 + (i < digits.size() ? digits[i] - '0' : 0);
  return weight;
}

struct MediaRange {
  std::string type;     // in lower case, `*/*` and `application/*` too
  std::string version;  // empty: any
  int weight = 1000;    // 0: it is excluded
};

// Returns whether the text is `token/token` (RFC 9110 sections 5.6.2 and 8.3.1), where an asterisk
// may stand for the subtype, and for the type only where it stands for both.
bool is_media_range(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view type = text.substr(0, slash);
  const std::string_view subtype = text.substr(slash + 1);
  const auto is_token = [](std::string_view part) {
    return !part.empty() &&
           part.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") ==
               std::string_view::npos;
  };
  return is_token(type) && is_token(subtype) && (type != "*" || subtype == "*");
}

// One element of Accept; nothing when it is none. Of its parameters only weight and version count:
// ours have no other that could differ.
std::optional<MediaRange> read_range(std::string_view text) {
  const auto parts = split_quoted(text, ';');
  if (!parts || parts->empty()) return std::nullopt;
  MediaRange range{base::to_lower(parts->front())};
  if (range.type == "*") range.type = "*/*";  // as the JDK sends it
  if (!is_media_range(range.type)) return std::nullopt;
  for (std::size_t i = 1; i < parts->size(); ++i) {
    const std::string parameter = base::to_lower((*parts)[i]);
    if (parameter.starts_with("version=")) {
      range.version = parameter.substr(8);  // quoted is the same (RFC 9110 section 5.6.6)
      std::erase(range.version, '"');
    }
    if (!parameter.starts_with("q=")) continue;
    const auto weight = parse_weight(std::string_view(parameter).substr(2));
    if (!weight) return std::nullopt;
    range.weight = *weight;
  }
  return range;
}

// Of the most specific range that fits (RFC 9110 section 12.5.1); 0: none does.
int weight_of(const OfferedType& offered, const std::vector<MediaRange>& ranges) {
  const std::string group = std::string(offered.type.substr(0, offered.type.find('/'))) + "/*";
  for (const std::string_view form :
       {offered.type, std::string_view(group), std::string_view("*/*")}) {
    const auto found = std::find_if(ranges.begin(), ranges.end(), [&](const MediaRange& range) {
      return range.type == form &&
             (range.version.empty() || offered.version.empty() || range.version == offered.version);
    });
    if (found != ranges.end()) return found->weight;
  }
  return 0;
}

// nullopt: no Accept, or none with an element that can be read (RFC 9110 section 12.5.1: such a
// request takes anything).
std::optional<std::vector<MediaRange>> read_accept(const http::Request& request) {
  if (request.header("Accept") == nullptr) return std::nullopt;
  std::vector<MediaRange> ranges;
  if (const auto elements = header_list(request, "Accept"))
    for (const std::string_view element : *elements)
      if (auto range = read_range(element)) ranges.push_back(std::move(*range));
  if (ranges.empty()) return std::nullopt;
  return ranges;
}

Problem not_acceptable(const std::string& offered) {
  return {ProblemType::not_acceptable,
          "Accept leaves nothing that can be answered here: " + offered,
          {},
          {}};
}

}  // namespace

std::optional<Problem> check_accept(const http::Request& request) {
  const auto ranges = read_accept(request);
  if (!ranges || std::any_of(kSpoken.begin(), kSpoken.end(), [&](std::string_view type) {
        return weight_of({type, {}}, *ranges) > 0;
      }))
    return std::nullopt;
  return not_acceptable("application/json");
}

Outcome<std::size_t> choose_type(const http::Request& request,
                                 std::span<const OfferedType> offered) {
  const auto ranges = read_accept(request);
  if (!ranges) return std::size_t{0};
  std::optional<std::size_t> best;
  int best_weight = 0;
  std::string all;
  for (std::size_t i = 0; i < offered.size(); ++i) {
    all.append(all.empty() ? "" : ", ").append(offered[i].type);
    const int weight = weight_of(offered[i], *ranges);
    if (weight <= best_weight) continue;
    best = i;
    best_weight = weight;
  }
  if (!best) return not_acceptable(all);
  return *best;
}

std::optional<Problem> check_content_type(const http::Request& request,
                                          std::span<const std::string_view> allowed) {
  std::string wanted;
  for (const std::string_view type : allowed)
    wanted.append(wanted.empty() ? "" : " or ").append(type);
  const auto refuse = [&](const std::string& what) {
    return Problem{ProblemType::unsupported_media_type,
                   what + "; the body is to be sent as " + wanted,
                   {},
                   {}};
  };
  const std::string* coding = request.header("Content-Encoding");
  if (coding != nullptr && base::to_lower(*coding) != "identity")
    return refuse("the Content-Encoding " + base::quoted(*coding) + " is not undone here");
  const std::string* header = request.header("Content-Type");
  if (header == nullptr) return refuse("there is no Content-Type");
  const auto parts = split_quoted(*header, ';');
  if (!parts || parts->empty() ||
      std::find(allowed.begin(), allowed.end(), base::to_lower(parts->front())) == allowed.end())
    return refuse("the Content-Type is " + base::quoted(*header));
  for (std::size_t i = 1; i < parts->size(); ++i) {
    const std::string parameter = base::to_lower((*parts)[i]);
    if (parameter.starts_with("charset=") && parameter != "charset=utf-8" &&
        parameter != "charset=\"utf-8\"")
      return refuse("JSON is UTF-8 and not " + base::quoted((*parts)[i]));
  }
  return std::nullopt;
}

}  // namespace sc::api
