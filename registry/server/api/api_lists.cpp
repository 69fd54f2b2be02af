#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/json.h"
#include "base/text.h"
#include "http/url.h"
#include "layerstore/media_types.h"
#include "server/api/api.h"

namespace lay::registry::server {

namespace {

using layerstore::Digest;

constexpr std::size_t kCatalogPage = 1000;
constexpr std::size_t kReferrersPage = 500;
constexpr std::size_t kMaxPage = 10'000;
constexpr std::size_t kMaxReferrers = 4 * 1024 * 1024;  // bytes after which a page ends

/// One page of a sorted list, and how to ask for the next.
struct Page {
  std::vector<std::string> entries;
  std::string link;  ///< value of the Link header; empty on the last page
};

std::size_t page_size(const Request& request, std::size_t fallback) {
  const std::string n = request.target.parameter("n");
  if (n.empty()) return fallback;
  const auto number = parse_number(n);
  if (!number) throw Refusal(400, error_code::kUnsupported, "the parameter 'n' is no number");
  return static_cast<std::size_t>(std::min<std::uint64_t>(*number, kMaxPage));
}

std::string next_link(const std::string& path, std::size_t n, const std::string& last,
                      const std::string& more = "") {
  return fmt::format("<{}?n={}&last={}{}>; rel=\"next\"", path, n, percent_encode(last), more);
}

/// distribution-spec "Listing Tags": of `all`, in any order and some twice, those behind `last`, at most `n`.
Page page_of(std::vector<std::string> all, const Request& request, const std::string& path, std::size_t n) {
  const std::string last = request.target.parameter("last");
  std::erase_if(all, [&](const std::string& name) { return !comes_before(last, name); });
  // One more tells whether there is another page; only what may be on this one is put in order
  const auto sorted = std::min<std::size_t>(all.size(), 2 * (n + 1));
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(sorted), all.end(), comes_before);
  all.resize(sorted);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  Page page{.entries = std::move(all)};
  const bool has_more = page.entries.size() > n;
  page.entries.resize(std::min(n, page.entries.size()));
  if (has_more && n > 0) page.link = next_link(path, n, page.entries.back());
  return page;
}

Response list_response(const Json& document, const Page& page) {
  Response response = json_response(200, dump_json(document), "application/json");
  if (!page.link.empty()) response.headers.emplace_back("Link", page.link);
  return response;
}

Json referrer_descriptor(const ManifestRecord& record) {
  Json json = layerstore::to_json(record.descriptor);
  if (!record.artifact_type.empty()) json["artifactType"] = record.artifact_type;
  return json;
}

}  // namespace

Response Api::list_tags(const Request& request) {
  const std::string& repository = request.target.repository;
  std::vector<std::string> tags = registry_.names.tags(repository);
  if (tags.empty() && !registry_.repositories.exists(repository))
    throw Refusal(404, error_code::kNameUnknown, "there is no repository '" + repository + "'");
  for (std::string& tag : registry_.repositories.tags_behind(repository, request.target.parameter("last")))
    tags.push_back(std::move(tag));
  const Page page =
      page_of(std::move(tags), request, location_of(repository, "tags/list"), page_size(request, kMaxPage));
  return list_response(Json{{"name", repository}, {"tags", page.entries}}, page);
}

Response Api::list_repositories(const Request& request) {
  std::vector<std::string> all = registry_.names.repositories();
  for (std::string& name : registry_.repositories.list()) all.push_back(std::move(name));
  std::erase_if(all, [&](const std::string& name) { return !may(request, name, Right::read); });
  const Page page = page_of(std::move(all), request, "/v2/_catalog", page_size(request, kCatalogPage));
  return list_response(Json{{"repositories", page.entries}}, page);
}

Response Api::list_referrers(const Request& request) {
  const std::string& repository = request.target.repository;
  const std::string wanted = request.target.parameter("artifactType");
  const std::string last = request.target.parameter("last");
  const std::size_t n = std::max<std::size_t>(1, page_size(request, kReferrersPage));
  Json manifests = Json::array();
  Page page;
  std::string last_listed;
  std::size_t bytes = 0;  // read one by one: annotations may make each as long as a manifest can be
  const Digest subject = Digest::parse(request.target.reference);
  for (const Link& link : registry_.repositories.referrers(repository, subject)) {
    const std::string name = link.digest.to_string();
    if (name <= last) continue;
    const auto record = registry_.repositories.manifest(repository, link.digest);
    if (!record || record->subject != subject || (!wanted.empty() && record->artifact_type != wanted))
      continue;
    if (manifests.size() == n || bytes > kMaxReferrers) {
      page.link = next_link(location_of(repository, "referrers/" + request.target.reference), n, last_listed,
                            wanted.empty() ? "" : "&artifactType=" + percent_encode(wanted));
      break;
    }
    manifests.push_back(referrer_descriptor(*record));
    bytes += dump_json(manifests.back()).size();
    last_listed = name;
  }
  Response response = json_response(
      200,
      dump_json(Json{
          {"schemaVersion", 2}, {"mediaType", layerstore::media_type::kIndex}, {"manifests", manifests}}),
      std::string(layerstore::media_type::kIndex));
  if (!page.link.empty()) response.headers.emplace_back("Link", page.link);
  if (!wanted.empty()) response.headers.emplace_back("OCI-Filters-Applied", "artifactType");
  return response;
}

}  // namespace lay::registry::server
