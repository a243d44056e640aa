#include "api/json_reader.h"

#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.h"

namespace sc::api {
namespace {

constexpr std::size_t kMaxFault = 300;  // the parser quotes what it read last, however long

// `[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ...; last read:
// '...'`: what stands between the library's own head and its quotation.
std::string sentence_of(std::string text) {
  if (const auto head = text.find("] "); head != std::string::npos) text.erase(0, head + 2);
  if (const auto tail = text.find("; last read: "); tail != std::string::npos) {
    const auto rest = text.find("'; expected ", tail);
    text.erase(tail, rest == std::string::npos ? rest : rest + 1 - tail);
  }
  if (text.size() > kMaxFault) text.resize(kMaxFault);
  return text;
}

// Builds the value, and ends the parser at the first fault.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(std::size_t max_depth) : max_depth_(max_depth) {}
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max()))
      return refuse_number(std::to_string(value));
    return add(value);
  }
  bool number_float(number_float_t value, const string_t& text) override {
    // An integer that does not fit comes here too, rounded.
    if (text.find_first_of(".eE") == std::string::npos) return refuse_number(text);
    return add(value);
  }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }  // not of JSON texts

  bool start_object(std::size_t /*size*/) override { return enter(Json::object()); }
  bool start_array(std::size_t /*size*/) override { return enter(Json::array()); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    Open& here = open_.back();
    here.key = name;
    if (!here.value->contains(name)) return true;
    return refuse("the key stands twice in its object, at " + place());
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& failure) override {
    return refuse("at byte " + std::to_string(position) + ": " + sentence_of(failure.what()));
  }

  const std::optional<std::string>& fault() const { return fault_; }
  Json value() && { return std::move(root_); }

 private:
  struct Open {
    Json* value;
    std::string key;  // of an object, that is being read
  };

  template <class Value>
  bool add(Value&& value) {
    put(Json(std::forward<Value>(value)));
    return true;
  }
  Json* put(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Open& here = open_.back();
    if (here.value->is_object())
      return &here.value->get_ref<Json::object_t&>()
                  .emplace(here.key, std::move(value))
                  .first->second;
    here.value->push_back(std::move(value));
    return &here.value->back();
  }
  bool enter(Json empty) {
    if (open_.size() == max_depth_)
      return refuse("more than " + std::to_string(max_depth_) + " levels deep, at " + place());
    open_.push_back({put(std::move(empty)), {}});
    return true;
  }
  bool leave() {
    open_.pop_back();
    return true;
  }
  bool refuse_number(const std::string& text) {
    return refuse("the number " + base::quoted(text) + " does not fit 64 bits, at " + place());
  }
  bool refuse(std::string why) {
    if (!fault_) fault_ = std::move(why);
    return false;
  }
  // Of the value that is read now.
  std::string place() const {
    std::string pointer;
    for (const Open& each : open_) {
      pointer += '/';
      if (each.value->is_object()) {
        pointer += pointer_token(each.key);
      } else {  // an array or object that is being read is in its own array already
        pointer += std::to_string(each.value->size() - (&each == &open_.back() ? 0 : 1));
      }
    }
    return base::quoted(pointer);
  }

  const std::size_t max_depth_;
  Json root_;
  std::vector<Open> open_;  // the arrays and objects around what is read, outermost first
  std::optional<std::string> fault_;
};

}  // namespace

Outcome<Json> read_json(std::string_view text) {
  const auto malformed = [](std::string why) {
    return Problem{ProblemType::malformed_json, std::move(why), {}, {}};
  };
  if (text.empty()) return malformed("at byte 0: the body is empty, and JSON is wanted");
  Builder builder(kMaxJsonDepth);
  Json::sax_parse(text, &builder);
  if (builder.fault()) return malformed(*builder.fault());
  return std::move(builder).value();
}

std::string pointer_token(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace sc::api
